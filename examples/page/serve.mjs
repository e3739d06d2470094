// Serves the page in this folder and the unchanged `session.js`, on another port than the services:
//   ALLOWED_ORIGINS=http://localhost:5000 cargo run --bin local-stack
//   node examples/page/serve.mjs 5000
import { readFileSync } from 'node:fs';
import http from 'node:http';

const [port = '5000', auth = 'http://localhost:3000', books = 'http://localhost:4000'] = process.argv.slice(2);
const read = (path) => readFileSync(new URL(path, import.meta.url), 'utf8');
const policy = `default-src 'none'; script-src 'self'; connect-src ${auth} ${books}; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
const FILES = {
  '/': ['text/html; charset=utf-8', () => read('index.html').replace('{AUTH}', auth).replace('{BOOKS}', books)],
  '/page.js': ['text/javascript', () => read('page.js')],
  '/session.js': ['text/javascript', () => read('../../books-service/web/session.js')],
};

const server = http.createServer((request, response) => {
  const [kind, content] = FILES[new URL(request.url, 'http://localhost').pathname] ?? [];
  response.writeHead(content ? 200 : 404, { 'Content-Type': kind ?? 'text/plain', 'Content-Security-Policy': policy, 'X-Content-Type-Options': 'nosniff' });
  response.end(content?.());
});
server.listen(Number(port), 'localhost', () => console.log(`http://localhost:${server.address().port}`));
