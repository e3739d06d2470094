// WebKit by W3C WebDriver, with the part of playwright-core's interface that the tests in both browsers use.
import { spawn } from 'node:child_process';
import { ending, freePort, until } from './harness.mjs';

/** Starts a virtual display. Returns its name. */
async function display() {
  // `-displayfd 1` chooses a free number and writes it to the standard output.
  const program = spawn('Xvfb', ['-displayfd', '1', '-nolisten', 'tcp', '-screen', '0', '1280x800x24'], { stdio: ['ignore', 'pipe', 'ignore'] });
  ending(() => void program.kill());
  return new Promise((done, failed) => {
    program.stdout.on('data', (text) => done(`:${String(text).trim()}`));
    program.on('error', () => failed(new Error('Xvfb does not start: run ./test --long')));
  });
}

/** Starts WebKitWebDriver. Returns a function that calls it. */
export async function startWebKit() {
  const port = await freePort();
  const program = spawn('WebKitWebDriver', [`--port=${port}`], { env: { ...process.env, DISPLAY: await display() }, stdio: ['ignore', 'ignore', 'inherit'] });
  program.on('error', () => {});
  ending(() => void program.kill());
  const call = async (method, path, body) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, body: body && JSON.stringify(body) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  };
  await until(() => call('GET', '/status').catch(() => null), 'WebKitWebDriver answers (./test --long installs it)');
  return call;
}

/** A new browser without cookies. The driver runs one browser at a time. */
export class Context {
  static async open(call) {
    const { sessionId } = await call('POST', '/session', { capabilities: { alwaysMatch: { acceptInsecureCerts: true } } });
    return new Context((method, path, body) => call(method, `/session/${sessionId}${path}`, body));
  }

  constructor(call) {
    this.call = call;
  }

  async newPage() {
    const { handle } = await this.call('POST', '/window/new', { type: 'tab' });
    return new Page(this.call, handle);
  }

  close = () => this.call('DELETE', '');
}

class Page {
  constructor(call, handle) {
    Object.assign(this, { call, handle });
  }

  /** Sends a command to this tab. */
  async #command(path, body) {
    await this.call('POST', '/window', { handle: this.handle });
    return this.call('POST', path, body);
  }

  goto = (url) => this.#command('/url', { url });

  /** Goes back, and waits for the other page, because a script that runs while a page is replaced can be lost. */
  back = () => this.#command('/back', {});

  /** The result of `run(given)` in the page. */
  async evaluate(run, given) {
    // JSON has no `undefined`, so an object without `value` represents it.
    const script = `return Promise.resolve((${run})(arguments[0])).then((value) => (value === undefined ? {} : { value }));`;
    return (await this.#command('/execute/sync', { script, args: [given ?? null] })).value;
  }

  /** WebDriver reports no requests and no console lines. */
  on() {}
}
