Reveal.initialize({ width: 1280, height: 720, margin: 0, center: false, hash: true, slideNumber: 'c/t', transition: 'none' })
  .then(() => document.querySelectorAll('.logits-panel').forEach(panel => { panel.dataset.preventSwipe = ''; }));
