// A browser profile with its own user, and bare pages with a Session.
import { gate, startProxy, until, PASSWORD, sleep } from './harness.mjs';

/** The time until an access token has expired, in ms: `ACCESS_TOKEN_TTL=1s` and the leeway of 5 s. */
export const EXPIRY = 6300;

export class Visitor {
  /** @param {{browser, stack, site}} world */
  static async arrive(world, options = {}) {
    const visitor = new Visitor();
    const proxy = options.proxy ?? (await startProxy(world.stack.auth));
    const context = options.context ?? (await world.browser.newContext());
    Object.assign(visitor, { ...world, proxy, context, user: await world.stack.register() });
    if (options.init) await context.addInitScript(options.init);
    return visitor;
  }

  /** Opens a page with a Session named `session` and its events in `heard`. The Session is not started. */
  async open(options = {}) {
    const page = await this.context.newPage();
    page.requests = [];
    page.said = [];
    page.on('request', (request) => page.requests.push(request));
    page.on('console', (message) => page.said.push(message.text()));
    page.on('pageerror', (error) => page.said.push(`uncaught: ${error}`));
    await page.goto(options.url ?? this.site);
    await this.hold(page, options.session);
    return page;
  }

  /** Creates the Session of a loaded page. */
  async hold(page, options = {}) {
    await until(() => page.evaluate(() => globalThis.ready), 'the page is loaded');
    await page.evaluate(({ auth, books, options }) => {
      globalThis.books = `${books}/books?limit=1`;
      globalThis.heard = [];
      globalThis.session = new Session({ auth, services: [books, location.origin], ...options });
      session.addEventListener('change', ({ detail }) => heard.push(`${detail.user?.username ?? detail.user} ${detail.reason}`));
      globalThis.ask = (url) => session.fetch(url ?? globalThis.books).then(({ status }) => status, ({ code, message }) => code ?? message);
    }, { auth: this.proxy.url, books: this.stack.books, options });
  }

  signIn = (page, user = this.user) => page.evaluate((credentials) => session.signIn(credentials), { username: user.username, password: PASSWORD });

  /** Opens a page, and signs in unless `start` finds a session. */
  async signedIn(options) {
    const page = await this.open(options);
    await page.evaluate(() => session.start());
    if (!(await who(page))) await this.signIn(page);
    return page;
  }

  expire = () => sleep(EXPIRY);

  tokens = () => this.proxy.count('/token');

  /** Holds the responses to `POST /token` until `open`. `reached` waits until auth-service has sent one. */
  holdTokens() {
    const { opened, open } = gate();
    this.proxy.seen.length = 0;
    this.proxy.rule = ({ path }) => ({ until: path === '/token' ? opened : undefined });
    return { open, reached: () => until(() => this.proxy.seen.some(({ path, status }) => path === '/token' && status), 'the refresh was answered') };
  }

  async cookie() {
    const cookies = await this.context.cookies(this.proxy.url);
    return cookies.find(({ name }) => name === '__Host-refresh_token')?.value;
  }
}

export const who = (page) => page.evaluate(() => session.user?.username ?? session.user ?? null);
export const ask = (page, url) => page.evaluate((url) => ask(url), url);
export const heard = (page) => page.evaluate(() => heard);
export const becomes = (page, user, patience = 1000) => until(async () => (await who(page)) === user, `the user becomes ${user}`, patience);
