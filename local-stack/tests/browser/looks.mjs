// Each view in both themes at three widths: it fits the viewport, and axe finds no violation of moderate or higher
// impact. Screenshots are in target/screenshots.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from './harness.mjs';
import { Desk, is_clean } from './desk.mjs';

const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const pictures = fileURLToPath(new URL('../../../target/screenshots/', import.meta.url));
const SHELF = [
  ['Pride and Prejudice', 'Jane Austen', 'United Kingdom', 'English', 226, 1813], ['Le Père Goriot', 'Honoré de Balzac', 'France', 'French', 443, 1835],
  ['Molloy, Malone Dies, The Unnamable, the trilogy', 'Samuel Beckett', 'Republic of Ireland', 'English', 256, 1952], ['The Decameron', 'Giovanni Boccaccio', 'Italy', 'Italian', 1024, 1351],
  ['Ficciones', 'Jorge Luis Borges', 'Argentina', 'Spanish', 224, 1965], ['Wuthering Heights', 'Emily Brontë', 'United Kingdom', 'English', 342, 1847],
  ['Don Quijote De La Mancha', 'Miguel de Cervantes', 'Spain', 'Spanish', 1056, 1610], ['Medea', 'Euripides', 'Greece', 'Greek', 104, -431],
  ['The Idiot', 'Fyodor Dostoevsky', 'Russia', 'Russian', 656, 1869], ['Snow Country', 'Yasunari Kawabata', 'Japan', 'Japanese', 175, 1956],
  ['Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft', 'A. Nother', 'Austria', 'German', 12, 1899], ['The Epic of Gilgamesh', 'Unknown', 'Sumer', 'Akkadian', 128, -1700],
];

let desk;
let pages = 500;
before(async () => {
  mkdirSync(pictures, { recursive: true });
  desk = await Desk.open();
  const token = await desk.stack.token('john', 'password123admin');
  for (const [title, author, country, language, pages, year] of SHELF) await desk.stack.call(`${desk.stack.books}/books`, 'POST', { title, author, country, language, pages, year }, token);
});

/** The name of each view, and john's steps that open it from the view before. */
const VIEWS = [
  ['door', (page) => page.getByRole('heading', { name: 'Sign in' }).waitFor()],
  ['forgotten', (page) => page.getByRole('button', { name: 'Forgot your password?' }).click()],
  ['register', async (page) => (await page.getByRole('button', { name: 'Back to sign in' }).click(), await page.getByRole('button', { name: 'Register' }).click())],
  ['catalogue', async (page) => (await page.getByRole('button', { name: 'Sign in' }).click(), await desk.signIn(page, 'john', 'password123admin'), await page.getByText('The Idiot').waitFor())],
  ['nothing', async (page) => (await page.getByLabel('Search').fill('no such book'), await page.getByRole('heading', { name: 'No book matches' }).waitFor())],
  ['book', async (page) => (await page.getByLabel('Search').fill('goriot'), await page.getByRole('link', { name: /Goriot/ }).click(), await page.getByRole('button', { name: 'Edit' }).waitFor())],
  ['editor', async (page) => {
    await page.getByRole('button', { name: 'Edit' }).click();
    await page.getByRole('dialog').getByLabel('Pages').fill('many');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Pages must be an integer.').waitFor();
  }],
  ['conflict', async (page) => {
    await desk.stack.asJohn('PATCH', `${desk.stack.books}/books/${page.url().split('/').at(-1)}`, { pages: (pages += 1) });
    await page.getByRole('dialog').getByLabel('Pages').fill('450');
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('alert').filter({ hasText: 'was changed while you edited it' }).waitFor();
  }],
  ['people', async (page) => (await page.keyboard.press('Escape'), await page.getByRole('link', { name: 'People' }).click(), await page.getByText('anna', { exact: true }).waitFor())],
  ['link', async (page) => (await page.getByRole('button', { name: 'Reset link: anna' }).click(), await page.getByRole('dialog').getByLabel('Link').waitFor())],
  ['toast', async (page) => {
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Sign out: anna' }).click();
    await page.locator('.toast').waitFor();
  }],
  ['account', async (page) => (await dismiss(page), await page.getByRole('link', { name: 'my account' }).click(), await page.getByText('This device').first().waitFor())],
];

/** Closes all toasts. A click may fail, because a toast also closes by itself. */
async function dismiss(page) {
  for (const close of await page.getByRole('button', { name: 'Dismiss' }).all()) await close.click({ timeout: 1000 }).catch(() => {});
}

async function inspect(page, name, theme, width) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.ok(wide <= 0, `${name} at ${width}: ${wide} px wider than the viewport`);
  await page.mouse.move(0, 0);
  await page.evaluate(() => Promise.all(document.getAnimations().map((animation) => animation.finished.catch(() => {}))));
  await page.screenshot({ path: `${pictures}${name}-${theme}-${width}.png`, fullPage: !['editor', 'conflict', 'link', 'toast'].includes(name) });
  // The document is the same at each width, so axe checks one width only.
  if (width !== 1280) return;
  const { violations } = await page.evaluate(() => axe.run(document, { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] }));
  const serious = violations.filter(({ impact }) => ['serious', 'critical', 'moderate'].includes(impact));
  assert.deepEqual(serious.map(({ id, nodes }) => `${name}, ${theme}, ${width}: ${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join('; ')}`), []);
}

describe('looks', { concurrency: 2 }, () => {
  for (const theme of ['light', 'dark']) {
    for (const width of [320, 768, 1280]) {
      it(`every_view_in_${theme}_at_${width}_px`, { timeout: 200000 }, async () => {
        const page = await desk.page({ colorScheme: theme, viewport: { width, height: 800 }, reducedMotion: 'reduce' });
        await page.context().addInitScript(axe);
        await page.reload();
        for (const [name, go] of VIEWS) {
          await go(page);
          await until(async () => (await page.locator('[aria-busy=true]').count()) === 0, 'the view is loaded');
          await inspect(page, name, theme, width);
        }
        is_clean(page);
      });
    }
  }
});
