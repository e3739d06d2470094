
'use strict';
const [form] = document.forms;
const [password, button] = form.elements;
const message = document.getElementById('message');
const token = new URLSearchParams(location.hash.slice(1)).get('token');
// Neither the history nor a screenshot of the address keeps the ticket.
history.replaceState(null, '', location.pathname);
// Another link, opened in this tab.
addEventListener('hashchange', () => location.reload());
if (!token) {
  form.hidden = true;
  message.textContent = 'This link is not complete. Open the whole link once more.';
}
form.addEventListener('submit', async event => {
  event.preventDefault();
  message.textContent = '';
  button.disabled = true;
  try {
    // Relative, so that it works behind a path of a proxy.
    const answer = await fetch(form.dataset.call, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      credentials: 'omit',
      body: JSON.stringify({ token, [password.name]: password.value }),
    });
    if (answer.ok) {
      form.hidden = true;
      message.textContent = form.dataset.done;
      return;
    }
    const problem = await answer.json();
    message.textContent = (problem.errors ?? []).map(error => `The password ${error.message}`).join(' ') || problem.detail;
  } catch {
    message.textContent = 'The service does not answer. Try again later.';
  } finally {
    button.disabled = false;
  }
});
