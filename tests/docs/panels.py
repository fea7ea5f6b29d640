"What the tests of the panel share: reading it beside PyTorch, and touching it, on the site and in JupyterLab."
import re

import torch
import torch.nn.functional as F


def read_panel(panel):
    "The logits, probabilities and gradient that the panel shows, shape (3, c), its target, shape (1,), and its loss."
    rows = panel.locator('tbody tr').all()
    texts = [row.locator('.logits-panel-value').all_inner_texts() for row in rows]
    numbers = torch.tensor([[float(text) for text in row] for row in texts]).T
    target = torch.tensor([k for k, row in enumerate(rows) if row.locator('input[type=radio]').is_checked()])
    loss = re.search(r'loss: (\d+\.\d+)', panel.locator('.logits-panel-reading').inner_text())[1]
    return numbers, target, torch.tensor(float(loss))


def right_loss(panel, temperature=1.):
    "The loss that the panel shows, once PyTorch agrees with it and with the probabilities and the gradient."
    (scores, p, gradient), target, loss = read_panel(panel)
    x = (scores[None] / temperature).requires_grad_()
    expected = F.cross_entropy(x, target)
    close = dict(atol=1.1e-4, rtol=0)
    torch.testing.assert_close(loss, expected.detach(), **close)
    torch.testing.assert_close(p, x.softmax(1)[0].detach(), **close)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected, x)[0][0], **close)
    return loss.item()


def logit(panel, name): return panel.get_by_role('slider', name=f'logit of a {name}')


def point(slider, share):
    "A place on a slider, from 0 at its left end to 1."
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    return box['x'] + box['width'] * share, box['y'] + box['height'] / 2


def drag(slider, start, end):
    "Move along a slider with the mouse."
    mouse = slider.page.mouse
    mouse.move(*point(slider, start))
    mouse.down()
    mouse.move(*point(slider, end), steps=5)
    mouse.up()


def swipe(page, start, end):
    "Move a finger from one place of the window to another."
    send = page.context.new_cdp_session(page).send
    def touch(kind, *points):
        send('Input.dispatchTouchEvent', {'type': kind, 'touchPoints': [{'x': x, 'y': y} for x, y in points]})
    touch('touchStart', start)
    for k in range(1, 11): touch('touchMove', [a + (b - a) * k / 10 for a, b in zip(start, end)])
    touch('touchEnd')


def descend(panel, name, count):
    "Press a button that takes `count` steps, and compare with PyTorch's own gradient descent on the logits."
    (scores, _, _), target, _ = read_panel(panel)
    x = scores[None].clone().requires_grad_()
    opt = torch.optim.SGD([x], lr=1)
    for _ in range(count):
        opt.zero_grad()
        F.cross_entropy(x, target).backward()
        opt.step()
    panel.get_by_role('button', name=name, exact=True).click()
    torch.testing.assert_close(read_panel(panel)[0][0], x.detach()[0], atol=2e-4, rtol=0)
    return right_loss(panel)
