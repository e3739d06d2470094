// The page itself in Chromium, with its users and the errors that the browser reports.
import assert from 'node:assert/strict';
import { launch, startStack, until, PASSWORD } from './harness.mjs';

/** Console lines of the browser about error responses. These are no faults, because the page shows them itself. */
const ANSWERS = /^Failed to load resource: (the server responded with a status of|net::)/;

export class Desk {
  static async open(settings) {
    return Object.assign(new Desk(), { stack: await startStack(settings), browser: await launch() });
  }

  /** Opens a page in a new browser profile. `page.faults` collects its errors. */
  async page(options = {}) {
    const context = await this.browser.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    return this.tab(context);
  }

  async tab(context) {
    const page = await context.newPage();
    page.faults = [];
    page.setDefaultTimeout(20000);
    page.on('console', (message) => ANSWERS.test(message.text()) || page.faults.push(message.text()));
    page.on('pageerror', (error) => page.faults.push(String(error)));
    await page.addInitScript(() => addEventListener('securitypolicyviolation', (event) => console.error(`violates ${event.violatedDirective}: ${event.blockedURI}`)));
    await page.goto(this.stack.books);
    return page;
  }

  async signIn(page, username, password = PASSWORD) {
    await page.getByLabel('User name or email').fill(username);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'Catalogue' }).waitFor();
  }

  async john(options) {
    const page = await this.page(options);
    await this.signIn(page, 'john', 'password123admin');
    return page;
  }

  /** Registers a member, and signs in. */
  async member(options) {
    const [page, user] = [await this.page(options), await this.stack.register()];
    await this.signIn(page, user.username);
    return { page, user };
  }

  async addBooks(count, name = 'Volume') {
    const token = await this.stack.token('john', 'password123admin');
    const book = (number) => ({ title: `${name} ${String(number).padStart(3, '0')}`, author: 'A. Nother', country: 'Wales', language: 'Welsh', pages: 10 + number, year: 1800 + number });
    const added = [];
    for (let number = 1; number <= count; number += 1) added.push((await this.stack.call(`${this.stack.books}/books`, 'POST', book(number), token)).book);
    return added;
  }
}

export const is_clean = (page) => assert.deepEqual(page.faults, []);
export const toast = (page, text) => page.locator('.toast', { hasText: text }).waitFor();

/** Searches until the page shows `text`. books-service polls once a second, and only then refuses a revoked token. */
export const searches_until = (page, text) =>
  until(async () => {
    if (await page.getByText(text).isVisible()) return true;
    await page.getByLabel('Search').fill(`tales ${Date.now()}`, { timeout: 1000 }).catch(() => {});
    await page.waitForTimeout(300);
    return false;
  }, `the page says: ${text}`);
