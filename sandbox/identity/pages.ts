// The two pages of the identity provider, as text: choose who you are, and what went wrong. Plain HTML that works by keyboard
// and without a script; everything that comes from a request is escaped.
import type { DirectoryPerson } from './people.ts'

export const pageHeaders = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  // No form-action: the answer to the form redirects back to the console, and browsers would hold that against it.
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff'
}

export function loginPage(interactionUid: string, clientId: string, people: readonly DirectoryPerson[], hint: string): string {
  const choices = people.map(
    person => `<li><button name="email" value="${escape(person.email)}"${person.email === hint ? ' autofocus' : ''}>
<strong>${escape(person.name)}</strong><span>${escape(person.email)} · ${escape(person.about)}</span></button></li>`
  )
  return pageOf(
    'Who are you?',
    `<p>You are logging in to <strong>${escape(clientId)}</strong> with the sandbox's company directory. There are no passwords: choose a person.</p>
<form method="post" action="/interaction/${encodeURIComponent(interactionUid)}/login"><ul>${choices.join('\n')}</ul>
<button class="quiet" name="email" value="">Cancel</button></form>`
  )
}

export function errorPage(message: string): string {
  return pageOf(
    'The login cannot go on',
    `<p>${escape(message)}</p><p>Go back to where you came from and log in again. A login that waited for an hour, or one begun in another browser, is no longer known here.</p>`
  )
}

function pageOf(title: string, body: string): string {
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">
<title>${title} · Sandbox identity provider</title><style>
:root{color-scheme:light dark;--surface:#fff;--text:#212121;--quiet:#475161;--line:#dde3ee;--accent:#6c5ce7}
@media (prefers-color-scheme:dark){:root{--surface:#17181c;--text:#eceef2;--quiet:#a9b1bf;--line:#343842;--accent:#a99ff5}}
body{margin:0;background:var(--surface);color:var(--text);font:14px/20px Inter,system-ui,sans-serif}
main{max-width:480px;margin:64px auto;padding:0 16px}h1{font-size:20px;line-height:24px}ul{list-style:none;margin:24px 0 16px;padding:0}
button{display:block;width:100%;padding:8px 16px;margin:0 0 8px;text-align:left;font:inherit;color:inherit;background:none;border:1px solid var(--line);border-radius:4px;cursor:pointer}
button:hover{border-color:var(--accent)}button:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
button span{display:block;color:var(--quiet);font-size:12px;line-height:16px;overflow-wrap:anywhere}
.quiet{width:auto;border-color:transparent;color:var(--quiet);text-decoration:underline}
</style></head><body><main><h1>${title}</h1>${body}</main></body></html>`
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;').replaceAll("'", '&#39;')
