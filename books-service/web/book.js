import { library, session } from './api.js';
import { button, busy, el, toast } from './ui.js';
import { spine, year } from './spine.js';
import { details, editor, redraw } from './editor.js';

/** One book, as a card of the catalogue; an admin edits and deletes it. */
export async function book(id, signal) {
  const { book: found, tag } = await library.read(id, signal);
  document.title = `${found.title} · Reading room`;
  const rows = [['Published', year(found.year)], ['Country', found.country], ['Language', found.language], ['Pages', found.pages.toLocaleString('en')]];
  const actions = session.user.role === 'admin' && el('div', { className: 'actions' },
    button('Edit', () => editor(found, tag), 'primary'),
    button('Delete', ({ target }) => busy(target, () => remove(found, tag)), 'danger'));
  return [
    el('a', { className: 'back', href: '#/', onclick: goBack }, '← Catalogue'),
    el('article', { className: 'sheet' },
      el('div', { className: 'cover-place' }, cover(found)),
      el('div', { className: 'card' }, el('h1', {}, found.title), el('p', { className: 'author' }, found.author),
        el('dl', {}, ...rows.map(([name, value]) => el('div', {}, el('dt', {}, name), el('dd', {}, value)))), actions)),
  ];
}

/** Returns to the search that led here, if any. */
function goBack(event) {
  const history = globalThis.navigation;
  const before = history?.entries()[history.currentEntry.index - 1]?.url ?? '';
  if (!/\/(#\/?(\?.*)?)?$/.test(before)) return;
  event.preventDefault();
  history.back();
}

const cover = (found) => {
  const node = spine(found, 'cover');
  node.append(el('span', {}, found.title), el('span', {}, found.author));
  return node;
};

async function remove(found, tag) {
  await library.remove(found.id, tag).catch((error) => {
    if (error.code !== 'precondition_failed') throw error;
    redraw();
    throw new Error('It was changed since you opened it, so it was not deleted. This is how it is now.');
  });
  location.hash = '#/';
  const restore = async () => {
    const { book: again } = await library.add(details(found));
    location.hash = `#/books/${again.id}`;
  };
  toast(`“${found.title}” was deleted.`, { action: 'Undo', run: restore });
}
