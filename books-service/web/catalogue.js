import { library, session } from './api.js';
import { busy, button, el, finder, notice } from './ui.js';
import { spine, year } from './spine.js';

const ORDERS = [['title', 'Title'], ['author', 'Author'], ['year', 'Oldest first'], ['-year', 'Newest first'], ['-pages', 'Longest first'], ['-added', 'Last added']];

/** The catalogue: search, sort, and all books that match, loaded as they are scrolled to. */
export function catalogue(signal) {
  const asked = new URLSearchParams(location.hash.split('?')[1] ?? '');
  const [order] = ORDERS.find(([name]) => name === asked.get('sort')) ?? ORDERS[0];
  const state = { q: asked.get('q') ?? '', sort: order };
  const sort = el('select', { id: 'sort' }, ...ORDERS.map(([value, label]) => el('option', { value, selected: value === state.sort }, label)));
  const count = el('p', { className: 'count', role: 'status' });
  const keep = (name, value) => {
    state[name] = value;
    const query = new URLSearchParams(Object.entries(state).filter(([key, text]) => text && !(key === 'sort' && text === 'title')));
    // Adds no history entry for each letter.
    history.replaceState(null, '', `#/${query.size ? `?${query}` : ''}`);
  };
  const page = async (url, until) => {
    const found = await library.page(url, until).catch((error) => {
      if (!until.aborted) count.textContent = '';
      throw error;
    });
    if (!until.aborted) count.textContent = total(found);
    return found;
  };
  const { search, results, load } = finder({
    signal, text: state.q, placeholder: 'Title, author, country or language', list: { className: 'books', label: 'Books', rows: 6 },
    first: (q) => library.first({ sort: state.sort, ...(q.trim() ? { q } : {}) }),
    page, item, empty: nothing, changed: (q) => keep('q', q),
  });
  sort.addEventListener('change', () => (keep('sort', sort.value), load()));
  return [
    el('div', { className: 'head' }, el('div', {}, el('h1', {}, 'Catalogue'), count), session.user.role === 'admin' && button('Add a book', add, 'primary')),
    el('search', { className: 'tools' }, search, el('div', { className: 'field' }, el('label', { htmlFor: 'sort' }, 'Sort by'), sort)),
    results,
    el('p', { className: 'legend' }, 'A spine is as wide as its book is long, and its cloth is its language.'),
  ];
}

const add = ({ target }) => busy(target, async () => (await import('./editor.js')).editor());

function total({ total, atLeast }) {
  if (!Number.isNaN(atLeast)) return `More than ${atLeast.toLocaleString('en')} books`;
  return Number.isNaN(total) ? '' : `${total.toLocaleString('en')} ${total === 1 ? 'book' : 'books'}`;
}

const item = (book) => el('li', {}, el('a', { className: 'book', href: `#/books/${book.id}` }, spine(book),
  el('span', { className: 'what' }, el('span', { className: 'title' }, book.title), el('span', { className: 'author' }, book.author),
    el('span', { className: 'facts' }, [year(book.year), book.language, `${book.pages.toLocaleString('en')}\u00a0pages`].join('\u00a0· ')))));

const nothing = (q) => (q.trim()
  ? notice('No book matches', `Nothing in the catalogue holds all words of “${q.trim()}”.`)
  : notice('The shelf is empty', session.user?.role === 'admin' ? 'Add the first book.' : 'Books appear here as soon as an admin adds one.'));
