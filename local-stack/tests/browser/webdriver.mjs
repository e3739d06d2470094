// WebKit by W3C WebDriver: as much of playwright-core's interface as the stories use that run in both browsers.
import { spawn } from 'node:child_process';
import { ending, freePort, until } from './harness.mjs';

/** A virtual display for windows that are not looked at: its name. */
async function display() {
  // `-displayfd 1` takes a free number and writes it to the standard output.
  const program = spawn('Xvfb', ['-displayfd', '1', '-nolisten', 'tcp', '-screen', '0', '1280x800x24'], { stdio: ['ignore', 'pipe', 'ignore'] });
  ending(() => void program.kill());
  return new Promise((done, failed) => {
    program.stdout.on('data', (text) => done(`:${String(text).trim()}`));
    program.on('error', () => failed(new Error('Xvfb does not start: run ./test --long')));
  });
}

/** WebKitWebDriver: a function that calls it. */
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
  await until(() => call('GET', '/status').catch(() => null), 'WebKitWebDriver answers: run ./test --long');
  return call;
}

/** A browser of its own, without cookies. The driver runs one at a time. */
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

  /** The back button. A script that runs while a page is replaced can be lost, so this waits for the other page. */
  back = () => this.#command('/back', {});

  /** The result of `run(given)` in the page. */
  async evaluate(run, given) {
    // JSON has no `undefined`, but an object without `value` has one.
    const script = `return Promise.resolve((${run})(arguments[0])).then((value) => (value === undefined ? {} : { value }));`;
    return (await this.#command('/execute/sync', { script, args: [given ?? null] })).value;
  }

  /** WebDriver reports no requests and no lines of the console. */
  on() {}
}
