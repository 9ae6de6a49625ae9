// Without it everything is there; with it pages renew themselves in place and commands can be copied with a click.
'use strict';
(() => {
  const addCopyButtons = () => {
    if (!navigator.clipboard) return;
    for (const command of document.querySelectorAll('.command')) {
      if (command.querySelector('.copy')) continue;
      const button = document.createElement('button');
      button.className = 'copy';
      button.type = 'button';
      button.textContent = 'copy';
      button.setAttribute('aria-label', 'copy the command');
      button.addEventListener('click', async () => {
        await navigator.clipboard.writeText(command.querySelector('code').textContent);
        button.textContent = 'copied';
        setTimeout(() => { button.textContent = 'copy'; }, 1500);
      });
      command.append(button);
    }
  };
  addCopyButtons();

  const interval = Number(document.body.dataset.refreshS) * 1000;
  if (!(interval > 0)) return;
  const main = document.getElementById('main');
  const renew = async () => {
    // Not behind the reader's back: while something is selected or focused inside, the page stays as it is.
    const selection = document.getSelection();
    const busy = main.contains(document.activeElement) || (selection && !selection.isCollapsed);
    if (document.hidden || busy) return;
    let answer;
    try {
      answer = await fetch(location.href, {headers: {Accept: 'text/html'}, signal: AbortSignal.timeout(8000)});
    } catch {
      document.body.classList.add('silent');
      document.title = 'No answer · contimg';
      return;
    }
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), 'text/html');
    const freshMain = fresh.getElementById('main');
    if (!freshMain) return;
    for (const details of main.querySelectorAll('details[id]')) {
      const twin = freshMain.querySelector('#' + CSS.escape(details.id));
      if (twin) twin.open = details.open;
    }
    main.replaceChildren(...freshMain.childNodes);
    for (const part of ['.light', '.clock']) {
      const old = document.querySelector('header ' + part), now = fresh.querySelector('header ' + part);
      if (old && now) old.replaceWith(now);
    }
    const icon = document.querySelector('link[rel=icon]'), freshIcon = fresh.querySelector('link[rel=icon]');
    if (icon && freshIcon && icon.getAttribute('href') !== freshIcon.getAttribute('href')) {
      icon.setAttribute('href', freshIcon.getAttribute('href'));
    }
    document.title = fresh.title;
    document.body.classList.remove('silent');
    addCopyButtons();
  };
  setInterval(renew, interval);
})();
