import { library } from './api.js';
import { button, dialog, el, field, form, toast } from './ui.js';

const NAMES = [['title', 'Title'], ['author', 'Author'], ['country', 'Country'], ['language', 'Language'], ['pages', 'Pages'], ['year', 'Year']];
const NUMBERS = ['pages', 'year'];

/** The details of a book without its id. */
export const details = (book) => Object.fromEntries(NAMES.map(([name]) => [name, book[name]]));

/** The values of the form as the service takes them. An invalid number is sent as it is; the service refuses it. */
const typed = (values) => Object.fromEntries(Object.entries(values).map(([name, text]) => {
  const number = NUMBERS.includes(name) && text.trim() && Number(text);
  return [name, Number.isInteger(number) ? number : text];
}));

/** Loads the view again. */
export const redraw = () => dispatchEvent(new HashChangeEvent('hashchange'));

/** A form for `book`, read with the ETag `tag`; without both, for a new book. */
export function editor(book, tag) {
  const inputs = NAMES.map(([name, label]) => field(name, label, {
    value: book?.[name] ?? '', required: true, autofocus: name === 'title',
    inputMode: name === 'pages' ? 'numeric' : 'text', className: NUMBERS.includes(name) ? 'number' : '',
  }, name === 'year' ? 'Before the common era it is negative.' : ''));
  const conflict = el('div', { className: 'conflict', role: 'alert' });
  const submit = async (values) => {
    const mine = typed(values);
    conflict.replaceChildren();
    try {
      await (book ? save(book, mine, tag) : add(mine));
      box.close();
    } catch (error) {
      if (error.code !== 'precondition_failed') throw error;
      await show(mine);
    }
  };
  /** Compares the book, changed by another user, with the form. */
  const show = async (mine) => {
    const now = await library.read(book.id);
    tag = now.tag;
    book = now.book;
    const rows = NAMES.filter(([name]) => now.book[name] !== mine[name]);
    const take = () => {
      for (const [name] of NAMES) node.elements[name].value = now.book[name];
      conflict.replaceChildren();
      node.elements.title.focus();
    };
    conflict.replaceChildren(
      el('h3', {}, 'This book was changed while you edited it'),
      rows.length
        ? el('table', {}, el('thead', {}, el('tr', {}, ...['', 'Now in the catalogue', 'In your form'].map((text) => (text ? el('th', { scope: 'col' }, text) : el('td'))))),
          el('tbody', {}, ...rows.map(([name, label]) => el('tr', {}, el('th', { scope: 'row' }, label), el('td', {}, String(now.book[name])), el('td', {}, String(mine[name]))))))
        : el('p', {}, 'The other change is the same as yours.'),
      el('p', {}, 'Save again to put your text in its place, or take what is there.'),
      button('Take what is in the catalogue', take));
    conflict.scrollIntoView({ block: 'nearest' });
  };
  const node = form([...inputs, conflict], book ? 'Save' : 'Add', submit);
  node.classList.add('grid');
  const box = dialog(book ? 'Edit the book' : 'Add a book', node);
  return box;
}

async function save(book, mine, tag) {
  const before = details(book);
  const { tag: after } = await library.replace(book.id, mine, tag);
  redraw();
  const undo = async () => {
    await library.replace(book.id, before, after);
    redraw();
  };
  toast('The book was saved.', { action: 'Undo', run: undo });
}

async function add(mine) {
  const { book, tag } = await library.add(mine);
  location.hash = `#/books/${book.id}`;
  const undo = async () => {
    await library.remove(book.id, tag);
    location.hash = '#/';
  };
  toast(`“${book.title}” is in the catalogue.`, { action: 'Undo', run: undo });
}
