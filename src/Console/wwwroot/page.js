// Theme, figure tips, copying, dialogs: the few things a page must do in the browser itself. Loaded before the first paint.
(() => {
  'use strict';
  const root = document.documentElement;

  // --- theme: the system's until one is chosen here
  const stored = () => { try { return localStorage.getItem('qanat-theme'); } catch { return null; } };
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const applyTheme = () => { root.dataset.theme = stored() ?? (dark.matches ? 'dark' : 'light'); };
  applyTheme();
  dark.addEventListener('change', applyTheme);
  const toggleTheme = () => {
    try { localStorage.setItem('qanat-theme', root.dataset.theme === 'dark' ? 'light' : 'dark'); } catch { /* private window: this page only */ }
    root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  };

  // --- tips: one element for the whole page, so that no scrolling table clips it
  let tip = null, tipOwner = null;
  const showTip = owner => {
    const text = owner.getAttribute('data-tip');
    if (!text) return;
    if (!tip) { tip = document.createElement('div'); tip.className = 'tip'; tip.setAttribute('role', 'tooltip'); document.body.append(tip); }
    tipOwner = owner;
    tip.textContent = text;
    tip.classList.add('shown');
    const at = owner.getBoundingClientRect(), size = tip.getBoundingClientRect();
    const left = Math.max(8, Math.min(innerWidth - size.width - 8, at.left + at.width / 2 - size.width / 2));
    const above = at.top - size.height - 8;
    tip.style.left = left + 'px';
    tip.style.top = (above >= 8 ? above : at.bottom + 8) + 'px';
  };
  const hideTip = () => { tipOwner = null; tip?.classList.remove('shown'); };
  const ownerOf = event => event.target instanceof Element ? event.target.closest('[data-tip]') : null;
  document.addEventListener('pointerover', event => { const owner = ownerOf(event); if (owner) { if (owner !== tipOwner) showTip(owner); } else if (tipOwner) hideTip(); });
  document.addEventListener('focusin', event => { const owner = ownerOf(event); if (owner?.matches(':focus-visible')) showTip(owner); });
  document.addEventListener('focusout', hideTip);
  addEventListener('scroll', hideTip, { capture: true, passive: true });

  // --- clicks
  const copy = async button => {
    const text = button.getAttribute('data-copy');
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement('textarea');
      area.value = text; area.style.position = 'fixed'; area.style.opacity = '0';
      (button.closest('dialog') ?? document.body).append(area);
      area.select(); document.execCommand('copy'); area.remove();
    }
    button.classList.add('copied');
    setTimeout(() => button.classList.remove('copied'), 1600);
  };
  document.addEventListener('click', event => {
    const target = event.target instanceof Element ? event.target : null;
    if (!target) return;
    if (target.closest('[data-theme-toggle]')) toggleTheme();
    const copying = target.closest('[data-copy]');
    if (copying) copy(copying);
    if (target.closest('[data-reconnect]')) Blazor.reconnect().then(ok => { if (!ok) location.reload(); }, () => location.reload());
    if (target.closest('[data-reload]')) location.reload();
    const owner = ownerOf(event);
    if (owner && matchMedia('(hover: none)').matches) showTip(owner); else if (!owner) hideTip();
  });

  // --- called from the server
  window.qanat = {
    // From here on clicks count: the page is drawn before its connection is up.
    live: () => { root.dataset.live = ''; },
    openDialog: dialog => { if (dialog && !dialog.open) dialog.showModal(); },
    closeDialog: dialog => { if (dialog?.open) dialog.close(); },
    // A growing answer stays in view as long as the reader has not scrolled away from its end.
    follow: box => { if (box && box.scrollHeight - box.scrollTop - box.clientHeight < 160) box.scrollTop = box.scrollHeight; },
    toEnd: box => { if (box) box.scrollTop = box.scrollHeight; },
    // Enter sends, Shift+Enter makes a new line; the keystroke must not reach the text.
    sendOnEnter: (area, button) => area?.addEventListener('keydown', event => {
      if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      area.dispatchEvent(new Event('change', { bubbles: true }));
      button.click();
    }),
  };
})();
