// What scrolls can be reached and scrolled with the keyboard, also when a fold is opened or the window gets narrower.
function reach() {
  for (const part of document.querySelectorAll('article :is(table, pre)')) {
    const scrolls = part.scrollWidth > part.clientWidth;
    if (scrolls || part.tabIndex === 0) part.tabIndex = scrolls ? 0 : -1;
  }
}
for (const event of ['load', 'resize', 'toggle']) addEventListener(event, reach, true);
