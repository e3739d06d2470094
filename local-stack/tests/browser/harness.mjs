// Shared by the browser tests: the stack, a proxy in front of auth-service, a site with a bare page, Chromium.
import { execFileSync, execSync, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

const endings = [];
/** Registers `end`, which is called after the last test. */
export const ending = (end) => endings.push(end);
after(async () => {
  for (const end of endings.reverse()) await end();
});

export const PASSWORD = 'seven quiet owls read maps';
export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Repeats `check` until it returns a truthy value, and returns that value. */
export async function until(check, what, patience = 20000) {
  for (const end = Date.now() + patience; Date.now() < end; await sleep(20)) {
    const found = await check();
    if (found) return found;
  }
  throw new Error(`timed out: ${what}`);
}

export function folder() {
  const made = mkdtempSync(path.join(tmpdir(), 'browser-'));
  ending(() => rmSync(made, { recursive: true, force: true }));
  return made;
}

/** Starts a server on a free port of localhost, with TLS if there is a `certificate`. Returns its URL. */
export async function serve(handler, certificate) {
  const server = certificate ? https.createServer(certificate, handler) : http.createServer(handler);
  await new Promise((done) => server.listen(0, 'localhost', done));
  ending(() => (server.closeAllConnections(), server.close()));
  return `${certificate ? 'https' : 'http'}://localhost:${server.address().port}`;
}

/** A self-signed certificate for localhost, and the settings that name its files. */
export function makeCertificate() {
  const [TLS_KEY, TLS_CERT] = ['key.pem', 'cert.pem'].map((name) => path.join(folder(), name));
  const options = ['-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost'];
  execFileSync('openssl', ['req', ...options, '-keyout', TLS_KEY, '-out', TLS_CERT], { stdio: 'ignore' });
  return { settings: { TLS_CERT, TLS_KEY }, key: readFileSync(TLS_KEY), cert: readFileSync(TLS_CERT) };
}

export const freePort = async () => {
  const server = http.createServer();
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address();
  await new Promise((done) => server.close(done));
  return port;
};

const MAIL = new URL('../../../auth-service/tests/api/mail/server.py', import.meta.url);

/** A running stack, such as that of docker compose, and the command that prints the mails that it has sent. */
const { STACK_AUTH_URL, STACK_BOOKS_URL, STACK_MAILS } = process.env;

/** Waits for the first link to `page` in the texts that `mails` returns. */
const linkIn = (mails, address, page) =>
  until(() => mails().map((mail) => new RegExp(`http\\S+/${page}#token=\\S+`).exec(mail)?.[0]).find(Boolean), `a mail to ${address} with a link to ${page}`);

/** Starts a mail server. Returns its settings for local-stack, and a function that finds a link sent to an address. */
export async function startMail() {
  if (STACK_MAILS) {
    const sent = (address) => execSync(STACK_MAILS, { encoding: 'utf8' }).split('MESSAGE FOLLOWS').filter((mail) => mail.includes(`To: ${address}`));
    return { link: (address, page) => linkIn(() => sent(address), address, page), settings: {} };
  }
  const kept = folder();
  // Debian's python3. The first one in PATH may be another installation.
  const program = spawn('/usr/bin/python3', [fileURLToPath(MAIL), kept, 'plain'], { stdio: ['pipe', 'pipe', 'inherit'] });
  ending(() => void program.kill());
  const port = await new Promise((done, failed) => {
    program.stdout.on('data', (text) => done(Number(text)));
    program.on('exit', () => failed(new Error('aiosmtpd is not installed: run ./test')));
  });
  const sent = (address) => {
    const names = existsSync(path.join(kept, address)) ? readdirSync(path.join(kept, address)) : [];
    return names.filter((name) => name.endsWith('.json')).map((name) => JSON.parse(readFileSync(path.join(kept, address, name))).body);
  };
  return { link: (address, page) => linkIn(() => sent(address), address, page), settings: { SMTP_URL: `smtp+plain://127.0.0.1:${port}`, MAIL_FROM: 'no-reply@example.org' } };
}

/** Starts local-stack with these settings, unless STACK_AUTH_URL names a running stack. */
export async function startStack(settings = {}) {
  if (STACK_AUTH_URL) return new Stack(STACK_AUTH_URL, STACK_BOOKS_URL);
  const [auth, books] = [await freePort(), await freePort()];
  const env = { AUTH_ADDR: `127.0.0.1:${auth}`, BOOKS_ADDR: `127.0.0.1:${books}`, BCRYPT_COST: '4', RUST_LOG: 'error', WORKERS: '2', ...settings };
  const program = spawn(process.env.LOCAL_STACK, [], { cwd: folder(), env, stdio: ['ignore', 'pipe', 'inherit'] });
  ending(() => void program.kill());
  await new Promise((done, failed) => {
    program.stdout.on('data', (text) => String(text).includes('books-service') && done());
    program.on('exit', () => failed(new Error('local-stack does not start')));
  });
  const scheme = settings.TLS_CERT ? 'https' : 'http';
  return new Stack(`${scheme}://localhost:${auth}`, `${scheme}://localhost:${books}`);
}

class Stack {
  constructor(auth, books) {
    Object.assign(this, { auth, books });
  }

  async call(url, method, body, token) {
    const headers = { ...(body && { 'Content-Type': 'application/json' }), ...(token && { Authorization: `Bearer ${token}` }) };
    const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
    if (!response.ok) throw new Error(`${method} ${url}: ${response.status} ${await response.text()}`);
    return response.status === 204 ? null : response.json();
  }

  /** Registers a user. Returns the name and the id. */
  async register() {
    const username = `u-${randomUUID().slice(0, 12)}`;
    const { user } = await this.call(`${this.auth}/register`, 'POST', { username, password: PASSWORD });
    return { username, id: user.id };
  }

  async token(username, password = PASSWORD) {
    return (await this.call(`${this.auth}/login`, 'POST', { username, password })).accessToken;
  }

  /** The sessions of the user, without the one that this call opens and ends. */
  async sessions(username) {
    const token = await this.token(username);
    const all = await this.call(`${this.auth}/me/sessions`, 'GET', undefined, token);
    await this.call(`${this.auth}/logout`, 'POST', undefined, token);
    return all.filter(({ current }) => !current);
  }

  asJohn = async (method, url, body) => this.call(url, method, body, await this.token('john', 'password123admin'));
}

/** A promise, and the function that resolves it. */
export function gate() {
  let open;
  const opened = new Promise((done) => (open = done));
  return { opened, open };
}

/**
 * Starts a proxy in front of `target`. `seen` lists the requests with their responses. `rule` may delay, answer or drop
 * a request, or hold its response until a promise is resolved.
 */
export async function startProxy(target) {
  const proxy = { seen: [], rule: () => ({}), lead: (to) => ({ port } = new URL(to)) };
  let { port } = new URL(target);
  proxy.url = await serve(async (request, response) => {
    const entry = { path: request.url, method: request.method };
    if (entry.method !== 'OPTIONS') proxy.seen.push(entry);
    const { before = 0, delay = 0, until: kept, status, headers = {}, drop } = (await proxy.rule(entry)) ?? {};
    await sleep(before);
    if (drop) return request.socket.destroy();
    const cors = { 'Access-Control-Allow-Origin': request.headers.origin ?? '*', 'Access-Control-Allow-Credentials': 'true', 'Access-Control-Expose-Headers': 'Retry-After' };
    if (status) {
      response.writeHead(status, { 'Content-Type': 'application/problem+json', ...cors, ...headers });
      return response.end(JSON.stringify({ status, code: status === 503 ? 'unavailable' : 'too_many_requests', detail: 'as the test wants it' }));
    }
    const forward = http.request({ host: '127.0.0.1', port, path: request.url, method: request.method, headers: { ...request.headers, host: `localhost:${port}` } }, async (answer) => {
      Object.assign(entry, { status: answer.statusCode, cookie: answer.headers['set-cookie']?.[0] });
      await Promise.all([sleep(delay), kept]);
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    forward.on('error', () => response.destroy());
    request.pipe(forward);
  });
  proxy.count = (path) => proxy.seen.filter((entry) => entry.path === path).length;
  return proxy;
}

const WEB = new URL('../../../books-service/web/', import.meta.url);

/** Starts a site with `session.js` and a page that imports it. `routes` has handlers for further paths. */
export const startSite = (routes = {}, certificate) => serve((request, response) => {
  const route = routes[new URL(request.url, 'http://localhost').pathname];
  if (route) return route(request, response);
  const isScript = request.url === '/session.js';
  response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html' });
  const page = '<!doctype html><link rel="icon" href="data:,"><script type="module">import * as all from "/session.js"; Object.assign(globalThis, all, { ready: true });</script>';
  return response.end(isScript ? readFileSync(new URL('session.js', WEB)) : page);
}, certificate);

export async function launch(options = {}) {
  const browser = await chromium.launch({ executablePath: '/usr/bin/chromium-headless-shell', args: ['--no-sandbox'], ignoreDefaultArgs: ['--disable-back-forward-cache'], ...options });
  ending(() => browser.close());
  return browser;
}
