// A square to draw in, and what the network makes of the drawing. Python does the reading: it gets `pixels`, and sets `readings`.
const SIZE = 280, PEN = 20, STEP = 10;

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function render({ model, el }) {
  const side = model.get('side');
  const canvas = element('canvas', {
    width: SIZE, height: SIZE, tabindex: 0, role: 'application', class: 'digit-pad-canvas',
    'aria-label': 'Draw a 3 or a 7 here: with the mouse or a finger, or with the arrow keys; with Shift the pen moves without drawing',
  });
  const ring = element('div', { class: 'digit-pad-pen', 'aria-hidden': 'true' }); // where the pen is, for whoever draws with keys
  const clear = element('button', { type: 'button' }, 'Clear');
  const answer = element('div', { 'aria-live': 'polite', class: 'digit-pad-answer' });
  el.classList.add('digit-pad');
  el.append(element('div', {}, element('div', { class: 'digit-pad-paper' }, canvas, ring), clear), answer);

  const ink = canvas.getContext('2d', { willReadFrequently: true });
  ink.lineWidth = PEN;
  ink.lineCap = ink.lineJoin = 'round';
  const small = element('canvas', { width: side, height: side }).getContext('2d', { willReadFrequently: true });
  const START = { x: SIZE / 3, y: SIZE / 4 };
  let pen = null, waiting = false;

  function moveTo(place) {
    pen = place;
    const { x, y } = pen ?? START;
    ring.style.transform = `translate(${x - PEN / 2}px, ${y - PEN / 2}px)`;
  }

  function send() { // at most once a frame
    waiting = false;
    small.fillStyle = 'white';
    small.fillRect(0, 0, side, side);
    small.drawImage(canvas, 0, 0, side, side);
    const rgba = small.getImageData(0, 0, side, side).data;
    model.set('pixels', Array.from({ length: side * side }, (_, i) => 255 - rgba[4 * i]));
    model.save_changes();
  }

  function sendSoon() {
    if (!waiting) requestAnimationFrame(send);
    waiting = true;
  }

  function drawTo(x, y) {
    ink.beginPath();
    ink.moveTo(pen?.x ?? x, pen?.y ?? y);
    ink.lineTo(x, y);
    ink.stroke();
    moveTo({ x, y });
    sendSoon();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.left) * SIZE / box.width, (event.clientY - box.top) * SIZE / box.height];
  }

  canvas.addEventListener('pointerdown', event => {
    canvas.setPointerCapture(event.pointerId);
    moveTo(null);
    drawTo(...place(event));
  });
  canvas.addEventListener('pointermove', event => { if (event.buttons) drawTo(...place(event)); });

  const moves = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };
  canvas.addEventListener('keydown', event => {
    if (!(event.key in moves)) return;
    event.preventDefault();
    event.stopPropagation();
    const inside = v => Math.min(Math.max(v, PEN / 2), SIZE - PEN / 2);
    pen ??= START;
    const x = inside(pen.x + moves[event.key][0]), y = inside(pen.y + moves[event.key][1]);
    if (event.shiftKey) moveTo({ x, y }); else drawTo(x, y);
  });

  clear.addEventListener('click', () => {
    ink.clearRect(0, 0, SIZE, SIZE);
    moveTo(null);
    sendSoon();
  });

  function show() {
    const readings = model.get('readings');
    answer.replaceChildren(...(readings.length ? readings.map(row) : ['Draw a 3 or a 7.']));
  }

  function row({ name, probability, loss }) {
    const bar = element('div', { class: 'digit-pad-bar' });
    bar.style.width = `${100 * probability}%`;
    return element('div', { class: 'digit-pad-row' },
      element('div', {}, `it is a ${name} with probability ${probability.toFixed(4)}`),
      element('div', { class: 'digit-pad-scale' }, bar),
      element('div', {}, `if you meant a ${name}, the loss is ${loss.toFixed(4)}`));
  }

  model.on('change:readings', show);
  moveTo(null);
  show();
  return () => model.off('change:readings', show);
}

export default { render };
