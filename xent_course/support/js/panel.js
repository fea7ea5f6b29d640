// The logits panel: one row of scores to move, and what the loss makes of them. The numbers that a Python cell can read (logits,
// target, temperature, shift, shares) live in `model`; all others are computed here, so that the panel also works in a page without Python.
const STAGES = ['sigmoid', 'softmax', 'target', 'nll', 'log', 'loss', 'gradient'];
const STATE = ['logits', 'target', 'temperature', 'shift', 'shares'];
const HINTS = {
  sigmoid: 'Raise one score by 1, or lower the other by 1: is there a difference?',
  softmax: 'Can you make one of the probabilities exactly 0, or 1?',
  target: 'Choose another target: which of the numbers change?',
  nll: 'Lower a logit that is not the target\'s: what happens to the loss?',
  log: 'Halve the probability of the target: how much is added to the loss?',
  loss: 'Make all logits equal: does it matter how high they are, or how many?',
  gradient: 'Take steps: does each lower the loss by as much as the one before?',
  shares: 'Which logits make the divergence 0?',
};
const number = v => (Math.abs(v) < .00005 ? 0 : v).toFixed(4);

export function compute(logits, target, temperature, shift, shares = []) {
  const scores = logits.map(x => (x + shift) / temperature);
  const top = Math.max(...scores);
  const e = scores.map(s => Math.exp(s - top));
  const total = e.reduce((a, b) => a + b, 0);
  const p = e.map(v => v / total);
  const whole = shares.reduce((a, b) => a + b, 0);
  const q = p.map((_, i) => shares.length ? shares[i] / whole : Number(i === target));
  const loss = Math.log(total) + top - q.reduce((sum, v, i) => sum + v * scores[i], 0);
  const entropy = -q.reduce((sum, v) => sum + (v && v * Math.log(v)), 0);
  return { scores, p, q, loss, entropy, gradient: p.map((v, i) => v - q[i]) };
}

function element(tag, attributes = {}, ...children) {
  const node = tag.startsWith('svg:') ? document.createElementNS('http://www.w3.org/2000/svg', tag.slice(4)) : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// A slider with a button at each end, for fingers. A touch that turns out to scroll the page leaves the value as it was.
function slider(label, min, max, step, onInput) {
  const input = element('input', { type: 'range', min, max, step, 'aria-label': label });
  const put = v => { input.value = v; onInput(Number(input.value)); };
  let before = 0;
  input.addEventListener('pointerdown', () => { before = Number(input.value); });
  input.addEventListener('pointercancel', () => put(before));
  input.addEventListener('input', () => onInput(Number(input.value)));
  input.addEventListener('keydown', event => event.stopPropagation()); // the notebook must not take the arrow keys
  const nudge = (sign, by) => button(sign, () => put(Number(input.value) + by), { 'aria-label': `${sign} ${step}, ${label}`, tabindex: -1, class: 'nudge' });
  return { input, node: element('span', { class: 'logits-panel-slider' }, nudge('−', -step), input, nudge('+', step)) };
}

function button(label, onClick, attributes = {}) {
  const node = element('button', { type: 'button', ...attributes }, label);
  node.addEventListener('click', () => node.getAttribute('aria-disabled') === 'true' || onClick());
  return node;
}

const span = (name = 'logits-panel-value', ...children) => element('span', { class: name }, ...children);

function arrow(v) { // from the middle to where training moves a logit whose gradient is -v
  const end = 50 + 45 * v, head = Math.sign(v) * Math.min(7, Math.abs(45 * v));
  return element('svg:svg', { viewBox: '0 0 100 20', class: 'logits-panel-arrow', 'aria-hidden': 'true' },
    element('svg:line', { x1: 50, x2: 50, y1: 1, y2: 19, class: 'axis' }),
    element('svg:line', { x1: 50, x2: end - head, y1: 10, y2: 10, class: 'shaft' }),
    element('svg:polygon', { points: `${end},10 ${end - head},4 ${end - head},16`, class: 'head' }));
}

// A line over [x0, x1] with heights from 0 to top, and a dot on it, kept at the rim where it would leave the picture.
function plot(line, [x0, x1], top, [x, y], xlabel, ylabel) {
  const px = v => 40 + 190 * (Math.min(Math.max(v, x0), x1) - x0) / (x1 - x0), py = v => 150 - 130 * Math.min(v, top) / top;
  const text = (content, at) => element('svg:text', at, content);
  return element('svg:svg', { viewBox: '0 0 250 190', class: 'logits-panel-curve', role: 'img', 'aria-label': `${ylabel} is ${number(y)} where ${xlabel} is ${Number(x.toFixed(4))}` },
    element('svg:path', { d: 'M40 14V150H236', class: 'axis' }),
    element('svg:path', { d: 'M' + line.map(([v, w]) => `${px(v)} ${py(w)}`).join('L'), class: 'line' }),
    element('svg:path', { d: `M${px(x)} 150V${py(y)}H40`, class: 'guide' }),
    element('svg:circle', { cx: px(x), cy: py(y), r: 6, class: 'dot' }),
    text(x0, { x: 40, y: 166, 'text-anchor': 'middle' }), text(x1, { x: 230, y: 166, 'text-anchor': 'middle' }),
    text(0, { x: 34, y: 154, 'text-anchor': 'end' }), text(top, { x: 34, y: 24, 'text-anchor': 'end' }),
    text(xlabel, { x: 135, y: 184, 'text-anchor': 'middle' }), text(ylabel, { x: 44, y: 10 }));
}

function curve(f, [x0, x1], top, x, xlabel, ylabel) {
  const xs = Array.from({ length: 121 }, (_, i) => x0 + (x1 - x0) * i / 120).filter(v => f(v) <= top);
  return plot(xs.map(v => [v, f(v)]), [x0, x1], top, [x, f(x)], xlabel, ylabel);
}

const descent = losses => plot(losses.map((loss, k) => [k, loss]), [0, Math.max(10, losses.length - 1)], Math.max(1, Math.ceil(Math.max(...losses))),
  [losses.length - 1, losses.at(-1)], 'steps', 'loss');

// What cross-entropy is made of: the target's entropy, which nothing takes away, and the divergence, which training does.
function parts(entropy, divergence) {
  const scale = 230 / Math.max(3, entropy + divergence);
  const bar = (x, width, name) => element('svg:rect', { x: 10 + scale * x, y: 10, width: scale * Math.max(width, 0), height: 26, class: name });
  const text = (content, y, name) => element('svg:text', { x: 10, y, class: name }, content);
  return element('svg:svg', { viewBox: '0 0 250 90', class: 'logits-panel-curve', role: 'img', 'aria-label': `entropy ${number(entropy)}, divergence ${number(divergence)}` },
    bar(0, entropy, 'entropy'), bar(entropy, divergence, 'divergence'),
    text(`entropy of the target, the floor: ${number(entropy)}`, 58), text(`divergence: ${number(divergence)}`, 78));
}

export function render({ model, el }) {
  const upto = STAGES.indexOf(model.get('upto')), shows = stage => upto >= STAGES.indexOf(stage), pair = !shows('softmax');
  const spread = model.get('shares').length > 0;
  const names = model.get('names'), start = Object.fromEntries(STATE.map(name => [name, model.get(name)]));
  const set = changes => {
    for (const [name, value] of Object.entries(changes)) model.set(name, value);
    model.save_changes();
  };
  const group = `target-${Math.random()}`; // keeps the radio buttons of two panels apart
  let rows = [], path = {}; // `path`: the losses of the steps since something was moved by hand

  const body = element('tbody', { role: 'rowgroup' });
  const score = pair ? 'score' : 'logit';
  const heads = ['class', score, ...(pair ? [] : ['probability']), ...(shows('target') ? ['target'] : []), ...(shows('gradient') ? [`gradient: p − ${spread ? 'target' : 'one-hot'}`] : [])];
  const table = element('table', { role: 'table' }, element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...heads.map(h => element('th', { scope: 'col', role: 'columnheader' }, h)))), body);
  const picture = element('div', { class: 'logits-panel-picture' });
  const reading = element('p', { class: 'logits-panel-reading', 'aria-live': 'polite' });
  const shiftNote = element('p', { class: 'logits-panel-note' });

  function control(name, label, min, max, step) {
    const { input, node } = slider(label, min, max, step, value => set({ [name]: value })), value = span();
    return { node: element('label', {}, span('logits-panel-name', label), node, value), draw: () => { input.value = model.get(name); value.textContent = model.get(name).toFixed(1); } };
  }
  const controls = [control('shift', `shift all ${score}s by`, -10, 10, .5), ...(pair ? [] : [control('temperature', 'temperature', .2, 5, .1)])];

  const add = button('+ class', () => set({ logits: [...model.get('logits'), 0], ...(spread ? { shares: [...model.get('shares'), 0] } : {}) }));
  const remove = button('− class', () => {
    const logits = model.get('logits').slice(0, -1), shares = model.get('shares').slice(0, -1);
    if (spread && !shares.some(v => v > 0)) shares[0] = 1; // the class that goes had it all
    set({ target: Math.min(model.get('target'), logits.length - 1), shares, logits });
  });
  const reset = button('reset', () => set(start));

  const state = () => STATE.map(name => model.get(name));
  function step(count) { // gradient descent on the logits, with the learning rate 1
    let [logits, ...rest] = state();
    for (let k = 0; k < count; k++) {
      const { gradient } = compute(logits, ...rest);
      logits = logits.map((x, i) => x - gradient[i] / model.get('temperature'));
      path.losses.push(compute(logits, ...rest).loss);
    }
    path.key = JSON.stringify([logits, ...rest]);
    set({ logits });
  }
  const steps = [button('1 step', () => step(1)), button('10 steps', () => step(10))];

  function makeRow(i) {
    const bound = Math.max(10, ...start.logits.map(x => Math.ceil(Math.abs(x))));
    const { input, node: slide } = slider(`${score} of ${names[i]}`, -bound, bound, .1, value => set({ logits: model.get('logits').with(i, value) }));
    const value = span(), fill = element('div'), p = span(), pull = span('logits-panel-pull'), share = span();
    const part = slider(`share of ${names[i]} in the target`, 0, 1, .01, value => {
      const shares = model.get('shares').with(i, value);
      set({ shares: shares.some(v => v > 0) ? shares : shares.with(i, .01) });
    });
    const radio = element('input', { type: 'radio', name: group, 'aria-label': `the target is ${names[i]}` });
    radio.addEventListener('change', () => set({ target: i }));
    radio.addEventListener('keydown', event => event.stopPropagation());
    const cells = [[slide, value], ...(pair ? [] : [[element('div', { class: 'logits-panel-bar' }, fill), p]]),
      ...(shows('target') ? [spread ? [part.node, share] : [radio]] : []), ...(shows('gradient') ? [[pull]] : [])];
    const node = element('tr', { role: 'row' }, element('th', { scope: 'row', role: 'rowheader' }, names[i]),
      ...cells.map((children, k) => element('td', { role: 'cell', 'data-head': heads[k + 1].split(':')[0] }, ...children)));
    return { node, input, value, fill, p, part: part.input, share, radio, pull };
  }

  function fitRows(count) {
    const gone = rows.splice(count), focused = gone.some(row => row.node.contains(document.activeElement));
    gone.forEach(row => row.node.remove());
    while (rows.length < count) {
      rows.push(makeRow(rows.length));
      body.append(rows.at(-1).node);
    }
    if (focused) rows.at(-1).input.focus();
  }

  function draw() {
    const [logits, target, temperature, shift, shares] = state();
    if (spread && shares.length !== logits.length) return; // a class comes or goes, in two steps
    const { scores, p, q, loss, entropy, gradient } = compute(logits, target, temperature, shift, shares);
    const key = JSON.stringify(state());
    if (path.key !== key) path = { key, losses: [loss] };
    fitRows(logits.length);
    rows.forEach((row, i) => {
      const isTarget = !spread && shows('target') && i === target;
      row.input.value = logits[i];
      row.value.textContent = number(logits[i]);
      row.fill.style.width = `${100 * p[i]}%`;
      row.p.textContent = number(p[i]);
      row.radio.checked = isTarget;
      if (spread) {
        row.part.value = shares[i];
        row.share.textContent = number(q[i]);
      }
      row.node.classList.toggle('target', isTarget);
      row.pull.replaceChildren(arrow(-gradient[i]), span('logits-panel-value', number(gradient[i])));
    });
    controls.forEach(c => c.draw());
    add.setAttribute('aria-disabled', logits.length === 5);
    remove.setAttribute('aria-disabled', logits.length === 2);

    const difference = scores[0] - scores[1], name = names[target], pt = p[target];
    const pictures = pair ? [curve(x => 1 / (1 + Math.exp(-x)), [-8, 8], 1, difference, `score of ${names[0]} minus score of ${names[1]}`, `confidence in ${names[0]}`)]
      : spread ? [parts(entropy, loss - entropy)]
      : shows('log') ? [curve(v => -Math.log(v), [0, 1], 6, pt, `probability of the target, ${name}`, '−ln p')] : [];
    picture.replaceChildren(...pictures, ...(shows('gradient') ? [descent(path.losses)] : []));
    const says = [
      [`The difference is ${number(difference)}, and its sigmoid, the confidence in ${names[0]}, is ${number(p[0])}.`],
      [`The ${p.length} probabilities add up to ${number(p.reduce((a, b) => a + b, 0))}.`],
      [`The number in the target's column: ${number(pt)}.`],
      [`The target has the probability ${number(pt)}. Minus the log of that is its loss: ${number(loss)}.`],
      [`The target has the probability ${number(pt)}, and −ln of that is ${number(loss)}.`],
      [`The target has the probability ${number(pt)}. Cross-entropy loss: ${number(loss)}.`],
      [`The target has the probability ${number(pt)}. Cross-entropy loss: ${number(loss)}.`,
       temperature === 1 ? 'Each arrow points where training moves the logit.' : `The gradient is that at logit / ${temperature.toFixed(1)}; at the logit itself, divide it by the temperature once more.`],
    ];
    reading.textContent = spread ? `Cross-entropy loss: ${number(loss)}, of which ${number(entropy)} is the target's own entropy and ${number(loss - entropy)} the divergence.` : says[upto].join(' ');
    const unshifted = compute(logits, target, temperature, 0, shares);
    const change = Math.max(Math.abs(loss - unshifted.loss), ...p.map((v, i) => Math.abs(v - unshifted.p[i])));
    shiftNote.textContent = shift === 0 ? '' : `${Math.abs(shift).toFixed(1)} was ${shift > 0 ? 'added to' : 'taken from'} every ${score}, and it changes nothing: the largest change of a probability or the loss is ${number(change)}.`;
  }

  el.classList.add('logits-panel');
  el.setAttribute('role', 'group');
  el.setAttribute('aria-label', `Logits panel: move the ${score}s`);
  const hint = element('p', {}, HINTS[spread ? 'shares' : model.get('upto')]);
  const rowOf = (...nodes) => element('div', { class: 'logits-panel-controls' }, ...nodes);
  el.replaceChildren(hint,
    element('div', { class: `logits-panel-main${spread ? ' logits-panel-spread' : ''}` }, element('div', {}, table, ...(shows('gradient') ? [rowOf(...steps, 'with the learning rate 1')] : []), reading), picture),
    rowOf(...controls.map(c => c.node), ...(pair ? [] : [add, remove]), reset), shiftNote);
  const events = STATE.map(name => `change:${name}`);
  events.forEach(event => model.on(event, draw));
  draw();
  return () => events.forEach(event => model.off(event, draw));
}

// For pages without Python: a stand-in for the model, mounted in the first place that waits for one.
export function mount(state, css) {
  const listeners = {};
  const model = {
    get: name => state[name],
    set: (name, value) => { state[name] = value; (listeners[`change:${name}`] ?? []).forEach(f => f()); },
    save_changes: () => {},
    on: (event, f) => (listeners[event] ??= []).push(f),
    off: () => {},
  };
  if (!document.getElementById('logits-panel-css')) document.head.append(element('style', { id: 'logits-panel-css' }, css));
  render({ model, el: document.querySelector('.logits-panel-waiting:not(.logits-panel)') });
}

export default { render };
