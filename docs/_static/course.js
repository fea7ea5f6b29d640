// What scrolls sideways fades out where more is to come, and can be scrolled with the keyboard, also in an opened fold.
function reach(part) {
  const hidden = part.scrollWidth - part.clientWidth;
  part.classList.toggle('more', hidden - part.scrollLeft > 1);
  if (hidden > 1 || part.tabIndex === 0) part.tabIndex = hidden > 1 ? 0 : -1;
}
function reachAll() {
  for (const picture of document.querySelectorAll('.cell_output > img')) picture.classList.toggle('wide', picture.getAttribute('width') > 800);
  document.querySelectorAll('article :is(table, pre, .cell_output:has(> img), mjx-container[display])').forEach(reach);
}
for (const event of ['load', 'resize', 'toggle']) addEventListener(event, reachAll, true);
addEventListener('scroll', event => event.target.scrollLeft === undefined || reach(event.target), true);
document.addEventListener('readystatechange', () => window.MathJax?.startup?.promise?.then(reachAll));
