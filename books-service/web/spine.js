import { el } from './ui.js';

/** The cloth, one of eight; all books of a language have the same. */
const cloth = (language) => [...language.toLowerCase()].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) % 8;

/** A book's spine: its width shows the pages, its cloth the language. */
export function spine({ pages, language }, kind = '') {
  const node = el('span', { className: `spine cloth-${cloth(language)} ${kind}`, 'aria-hidden': 'true' });
  node.style.setProperty('--width', `${Math.round(Math.min(12 + pages / 28, 48))}px`);
  return node;
}

/** A year as people write it. */
export const year = (number) => (number < 0 ? `${-number} BCE` : String(number));
