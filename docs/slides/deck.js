const settings = { width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: 'c/t', transition: 'none',
  pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1 };
// A finger on a slider of the panel moves that, not the deck.
Reveal.initialize(settings).then(() => document.querySelectorAll('.logits-panel').forEach(panel => {
  panel.dataset.preventSwipe = '';
  // Afterwards the space bar turns pages again.
  panel.addEventListener('pointerup', () => setTimeout(() => document.activeElement.blur()));
}));
