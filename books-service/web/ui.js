// The components of the page. Text is only inserted as text, never as markup.

/** An element with properties, `class`, `data-`, `aria-` and other attributes, listeners (`onclick`) and children. */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) node.addEventListener(name.slice(2), value);
    else if (name in node && !/^(aria-|data-|list|role|form)/.test(name)) node[name] = value;
    else node.setAttribute(name, value === true ? '' : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export const button = (label, onclick, kind = '') => el('button', { type: 'button', className: `button ${kind}`, onclick }, label);

/** The text for an error that belongs to no field. */
export function explain(error) {
  const outcome = error.isWrite ? 'The change may have been saved: look before you repeat it.' : 'Nothing was changed.';
  const texts = {
    unexpected: 'The service gave an answer that this page does not understand. Try again later.',
    unreachable: `The service cannot be reached just now, or does not allow this page. ${outcome}`,
    unavailable: `The service is not available just now. ${outcome}`,
    busy: 'The service is busy just now. Try again in a moment.',
    signed_out: 'You are signed out.',
    user_changed: 'Another user signed in on this browser.',
    origin_not_allowed: 'This page and auth-service are on two sites, where a browser keeps no session. They need one host name, or two subdomains of one domain.',
    mail_not_configured: 'This service sends no mail. Ask an admin for a link.',
    public_url_not_configured: 'There can be no link: PUBLIC_URL of auth-service is not set.',
    last_admin: 'The last admin has to stay an admin.',
    precondition_failed: 'It was changed meanwhile. Read it again first.',
  };
  if (error.errors?.length) return told(error.errors);
  const wait = error.retryAfter && error.status === 429 ? ` Try again in ${error.retryAfter} seconds.` : '';
  // A part of the page that could not be loaded.
  if (error instanceof TypeError) return texts.unreachable;
  return (texts[error.code] ?? (error.message || 'Something went wrong.')) + wait;
}

const sentence = (text) => text.replace(/\.?$/, '.');

/** The errors of fields that a form does not have. */
const told = (errors) => errors.map(({ field: name, message }) => sentence(`${name} ${message}`)).join(' ');

const toasts = document.getElementById('toasts');

/** Shows `text` for some seconds, with an optional action. It stays while it is hovered or has the focus. */
export function toast(text, { action, run, bad = false } = {}) {
  const close = () => node.remove();
  const act = () => (close(), Promise.resolve(run()).catch((error) => toast(explain(error), { bad: true })));
  const node = el('div', { className: `toast ${bad ? 'bad' : ''}` }, el('p', {}, text),
    action && button(action, act, 'quiet'), el('button', { type: 'button', className: 'close', 'aria-label': 'Dismiss', onclick: close }, '×'));
  const later = () => setTimeout(() => (node.matches(':hover, :focus-within') ? later() : close()), action ? 10000 : 6000);
  later();
  toasts.append(node);
  while (toasts.children.length > 3) toasts.firstChild.remove();
}

/** Runs `work` while `control` is marked as busy, and shows a failure. @returns true on success. */
export async function busy(control, work, failed = (error) => toast(explain(error), { bad: true })) {
  if (control.getAttribute('aria-busy') === 'true') return false;
  control.setAttribute('aria-busy', 'true');
  try {
    await work();
    return true;
  } catch (error) {
    if (error.name !== 'AbortError') failed(error);
    return false;
  } finally {
    control.removeAttribute('aria-busy');
  }
}

let fields = 0;

/** A labelled input, with a hint and an element for its error. */
export function field(name, label, props = {}, hint = '') {
  const id = `field-${(fields += 1)}`;
  const input = el('input', { id, name, autocomplete: 'off', 'aria-describedby': `${id}-hint ${id}-error`, ...props });
  return el('div', { className: 'field' }, el('label', { htmlFor: id }, label), input,
    el('p', { id: `${id}-hint`, className: 'hint' }, hint), el('p', { id: `${id}-error`, className: 'error', hidden: true }));
}

/** A form whose `submit` gets the values; an error of a field is shown at it, and the first gets the focus. */
export function form(children, label, submit, kind = 'primary') {
  const status = el('p', { className: 'error', role: 'alert' });
  const send = el('button', { type: 'submit', className: `button ${kind}` }, label);
  const onsubmit = (event) => {
    event.preventDefault();
    clear(node);
    busy(send, () => submit(Object.fromEntries(new FormData(node))), (error) => showErrors(node, status, error));
  };
  const node = el('form', { noValidate: true, onsubmit }, ...children, status, el('div', { className: 'actions' }, send));
  return node;
}

function clear(node) {
  for (const text of node.querySelectorAll('.error')) [text.textContent, text.hidden] = ['', text.role !== 'alert'];
  for (const input of node.querySelectorAll('[aria-invalid]')) input.removeAttribute('aria-invalid');
}

const TAKEN = { username_taken: ['username', 'is taken'], email_taken: ['email', 'is taken'] };

function showErrors(node, status, error) {
  const taken = TAKEN[error.code];
  const errors = taken ? [{ field: taken[0], message: taken[1] }] : error.errors ?? [];
  const rest = errors.filter(({ field: name, message }) => {
    const input = node.elements[name];
    if (!input) return true;
    const place = document.getElementById(`${input.id}-error`);
    const label = input.labels[0].textContent;
    [place.textContent, place.hidden] = [place.textContent ? sentence(`${place.textContent} It ${message}`) : sentence(`${label} ${message}`), false];
    input.setAttribute('aria-invalid', 'true');
    return false;
  });
  node.querySelector('[aria-invalid]')?.focus();
  if (rest.length) status.textContent = told(rest);
  else if (!errors.length) status.textContent = explain(error);
}

/** A modal dialog; closed by Escape, its button or `close()`. The focus returns to where it was. */
export function dialog(title, ...children) {
  const before = document.activeElement;
  const heading = el('h2', { id: 'dialog-title' }, title);
  const node = el('dialog', { 'aria-labelledby': 'dialog-title' },
    el('header', {}, heading, el('button', { type: 'button', className: 'close', 'aria-label': 'Close', onclick: () => node.close() }, '×')), ...children);
  node.addEventListener('close', () => (node.remove(), (before?.isConnected ? before : document.querySelector('main')).focus()));
  document.body.append(node);
  node.showModal();
  return node;
}

/** A message in place of content: there is nothing, or a failure. */
export function notice(title, text, ...actions) {
  return el('div', { className: 'notice' }, el('div', { className: 'empty-shelf', 'aria-hidden': 'true' }), el('h2', {}, title), el('p', {}, text), el('div', { className: 'actions' }, ...actions));
}

const when = new Intl.DateTimeFormat('en', { dateStyle: 'medium', timeStyle: 'short' });
const day = new Intl.DateTimeFormat('en', { dateStyle: 'medium' });

export const moment = (text) => el('time', { dateTime: text }, when.format(new Date(text)));
export const date = (text) => el('time', { dateTime: text }, day.format(new Date(text)));

/** Loads page after page as the end of `list` comes into view. A button does the same for the keyboard. */
export function scroll(list, first, load, add, empty) {
  let next = first;
  const more = button('Show more', () => go(), 'more');
  const failed = el('div', { role: 'alert' });
  const watcher = new IntersectionObserver(([seen]) => seen.isIntersecting && next !== first && go(), { rootMargin: '600px' });
  const go = () => busy(more, async () => {
    failed.replaceChildren();
    const page = await load(next);
    if (next === first) list.replaceChildren();
    list.removeAttribute('aria-busy');
    list.append(...page.items.map(add));
    if (next === first && !page.items.length) failed.replaceChildren(empty());
    next = page.next;
    more.hidden = !next;
    watcher.unobserve(more);
    if (next) watcher.observe(more);
  }, (error) => {
    if (['signed_out', 'user_changed', 'disposed'].includes(error.code)) return;
    if (next === first) list.replaceChildren();
    list.removeAttribute('aria-busy');
    failed.replaceChildren(notice('This did not arrive', explain(error), button('Try again', () => go(), 'primary')));
  });
  more.hidden = true;
  go();
  return [list, failed, more];
}

/**
 * A search field and its results, page by page. `first` returns the URL of the first page for a text; `changed` is
 * called with the text typed by the user. `list` describes the list: its class, its label and its rows while it loads.
 */
export function finder({ signal, text = '', placeholder, list: { className, label, rows }, first, page, item, empty, changed = () => {} }) {
  const search = el('input', { type: 'search', id: 'search', value: text, maxLength: 200, placeholder, autocomplete: 'off', spellcheck: false });
  const results = el('div');
  let timer;
  let run;
  const load = () => {
    run?.abort();
    run = new AbortController();
    const both = AbortSignal.any([signal, run.signal]);
    const current = async (url) => {
      const found = await page(url, both);
      both.throwIfAborted();
      return found;
    };
    const list = el('ul', { className, 'aria-label': label, 'aria-busy': 'true' }, ...skeleton(rows));
    results.replaceChildren(...scroll(list, first(search.value), current, item, () => empty(search.value)));
  };
  search.addEventListener('input', () => {
    clearTimeout(timer);
    timer = setTimeout(() => signal.aborted || (changed(search.value), load()), 200);
  });
  load();
  return { search: el('div', { className: 'field wide' }, el('label', { htmlFor: 'search' }, 'Search'), search), results, load };
}

/** Placeholder rows while a list loads. */
export const skeleton = (count) => Array.from({ length: count }, () => el('li', { className: 'skeleton', 'aria-hidden': 'true' }));
