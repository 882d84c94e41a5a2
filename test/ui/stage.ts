// A stage for the pages: the built UI behind the real policy headers, a small door that answers in the contract's shapes, and
// a frame on another origin that speaks to @contentstack/app-sdk. The pages' own behaviour is tested here in states that are
// hard to bring about; that the real server answers so is shown in test/flows.
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { extname, join } from 'node:path'
import type { EntryStatus, Session } from '../../server/http/contract/extension.ts'
import type { Installation, Run } from '../../server/http/contract/stack.ts'

export const installation: Installation = {
  id: 'ins_1',
  region: 'sandbox',
  organizationId: 'org_1',
  organizationUid: 'blt1',
  organizationName: 'Harbour Publishing',
  stackApiKey: 'blt8f14e45fceea167a',
  stackName: 'Blog EU',
  installationUid: 'i1',
  status: 'active',
  hold: null,
  token: { status: 'active', fingerprint: '9f2c41ab77d0', expiresAt: null },
  syncs: { active: 1, paused: 0, failing: 0 },
  left: [],
  createdAt: 0
}

export const inSync: EntryStatus['syncs'][number] = {
  syncId: 'syn_1',
  syncName: 'Articles',
  system: 'PostgreSQL',
  connection: 'Website database',
  direction: 'Contentstack -> PostgreSQL',
  state: 'in_sync',
  version: 5,
  syncedAt: Date.now() - 180_000,
  error: null,
  cause: 'an edit in Contentstack',
  causeId: 'dlv_019a2b3c4d5e6f708192a3b4'
}

export const run: Run = {
  id: 'run_1',
  syncId: 'syn_1',
  syncName: 'Articles',
  installationId: 'ins_1',
  stackName: 'Blog EU',
  cause: 'initial',
  causedBy: 'Ada Admin',
  status: 'running',
  total: 1000,
  read: 250,
  written: 200,
  skipped: 50,
  failed: 0,
  deleted: 0,
  error: null,
  createdAt: Date.now() - 60_000,
  startedAt: Date.now() - 59_000,
  finishedAt: null,
  planId: null,
  perMinute: 250,
  remaining: 750,
  secondsLeft: 180
}

export function session(change: Partial<Session> = {}): Session {
  return {
    session: 'the-session',
    idleExpiresAt: Date.now() + 900_000,
    absoluteExpiresAt: Date.now() + 28_800_000,
    userUid: 'u',
    stackAdmin: true,
    installation,
    ...change
  }
}

export interface Asked {
  method: string
  path: string
  query: URLSearchParams
  headers: Record<string, string | string[] | undefined>
  body: unknown
}

/** Answers by 'METHOD /path'; a number is a refusal of that status; a function is asked each time. */
export type Door = Record<string, unknown>

export interface Stage {
  app: string
  cms: string
  door: Door
  asked: Asked[]
  close(): Promise<void>
}

const pages: Record<string, string> = {
  '/app-configuration': 'extension.html',
  '/entry-sidebar': 'extension.html',
  '/stack-dashboard': 'extension.html',
  '/full-page': 'extension.html'
}
const types: Record<string, string> = { '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.css': 'text/css' }
const codes: Record<number, string> = {
  400: 'invalid',
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  409: 'conflict',
  500: 'internal',
  502: 'upstream'
}

export async function openStage(built: string): Promise<Stage> {
  const door: Door = {}
  const asked: Asked[] = []
  const cms = createServer((_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end(frame(appUrl)))
  const cmsUrl = `http://localhost:${await listen(cms, 'localhost')}`
  const policy = `default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors ${cmsUrl}`

  const app = createServer((request, response) => {
    void (async () => {
      const url = new URL(request.url ?? '/', 'http://stage')
      if (url.pathname.startsWith('/api/')) {
        let text = ''
        for await (const chunk of request) text += String(chunk)
        const call: Asked = {
          method: request.method ?? '',
          path: url.pathname,
          query: url.searchParams,
          headers: request.headers,
          body: text ? JSON.parse(text) : null
        }
        asked.push(call)
        const known = door[`${call.method} ${call.path}`]
        const answer: unknown = typeof known === 'function' ? (known as (call: Asked) => unknown)(call) : known
        const status = answer === undefined ? 404 : typeof answer === 'number' ? answer : 200
        const refusal = {
          error: { code: codes[status], message: `The door says ${status}.`, remedy: 'Do what it says.', requestId: 'req_1' }
        }
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(status === 200 ? answer : refusal))
        return
      }
      const file = pages[url.pathname] ?? (url.pathname.startsWith('/console') ? 'console.html' : url.pathname.replace(/^\/ui\//, ''))
      const content = await readFile(join(built, file)).catch(() => null)
      response
        .writeHead(content ? 200 : 404, {
          'content-type': types[extname(file)] ?? 'text/plain',
          'content-security-policy': policy,
          'referrer-policy': 'no-referrer'
        })
        .end(content)
    })()
  })
  const appUrl = `http://127.0.0.1:${await listen(app, '127.0.0.1')}`
  return {
    app: appUrl,
    cms: cmsUrl,
    door,
    asked,
    close: async () => {
      for (const server of [app, cms]) {
        server.closeAllConnections()
        await new Promise(done => server.close(done))
      }
    }
  }
}

function listen(server: Server, host: string): Promise<number> {
  return new Promise(done => server.listen(0, host, () => done((server.address() as AddressInfo).port)))
}

/** The CMS's half of the frame, as little of it as the SDK needs (reference §10): answers init, and fires entry events. */
function frame(app: string): string {
  return `<!doctype html><title>CMS</title><body><script>
const asked = new URLSearchParams(location.search)
const path = asked.get('path')
const type = { '/entry-sidebar': 'WIDGET', '/app-configuration': 'APP_CONFIG_WIDGET', '/stack-dashboard': 'DASHBOARD', '/full-page': 'FULL_PAGE_LOCATION' }[path]
const iframe = document.createElement('iframe')
iframe.src = '${app}' + path + '?app-token=' + (asked.get('token') ?? 'signed') + '&branch=main'
iframe.style.cssText = 'border:0;width:100%;height:95vh'
document.body.append(iframe)
const entry = asked.get('unsaved') ? { title: '' } : { uid: 'blt5', title: 'Bridges', locale: 'en-us', _version: 5 }
const init = { type, app_id: 'a', installation_uid: 'i', extension_uid: 'e', region: 'NA', currentBranch: 'main',
  stack: { api_key: 'b', org_uid: 'o', uid: 'u', name: 'Blog EU', master_locale: 'en-us', settings: {}, branches: [{ uid: 'main', source: '', alias: [] }] },
  user: { uid: 'u', email: 'e', roles: [] }, endpoints: { APP: '', CMA: '', DEVELOPER_HUB: '' }, content_type: { uid: 'article', title: 'Article', schema: [] }, entry, locale: 'en-us' }
const post = message => iframe.contentWindow.postMessage(JSON.stringify({ __postRobot__: { id: Math.random().toString(16).slice(2), sourceDomain: location.origin, domain: '*', windowType: 'fullpage', ...message } }), '*')
window.save = version => post({ type: 'postrobot_message_request', hash: 'h' + Math.random(), name: 'extensionEvent', data: { name: 'entrySave', data: { ...entry, _version: version } } })
const seen = new Set()
addEventListener('message', event => {
  let message
  try { message = JSON.parse(event.data).__postRobot__ } catch { return }
  if (message?.type !== 'postrobot_message_request' || seen.has(message.id)) return
  seen.add(message.id)
  post({ type: 'postrobot_message_ack', hash: message.hash, name: message.name })
  post({ type: 'postrobot_message_response', ack: 'success', hash: message.hash, name: message.name, data: message.name === 'init' ? init : {} })
})
</script>`
}
