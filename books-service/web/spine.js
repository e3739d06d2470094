import { el } from './ui.js';

/** The cloth of a language: the same for all its books, one of eight. */
const cloth = (language) => [...language.toLowerCase()].reduce((sum, letter) => (sum * 31 + letter.codePointAt(0)) % 9973, 7) % 8;

/** A book's spine: as wide as the book is long, its cloth is its language. */
export function spine({ pages, language }, kind = '') {
  const node = el('span', { className: `spine cloth-${cloth(language)} ${kind}`, 'aria-hidden': 'true' });
  node.style.setProperty('--width', `${Math.round(Math.min(12 + pages / 28, 48))}px`);
  return node;
}

/** A year as people write it. */
export const year = (number) => (number < 0 ? `${-number} BCE` : String(number));
