// Where alerts arrive in tests: a mail server and an https server on the loopback, both real, which keep what came and answer as told.
import type { IncomingHttpHeaders } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import type { Certificate } from './certificate.ts'

export interface Hook {
  url: string
  received: { path: string; headers: IncomingHttpHeaders; body: string }[]
  /** The next answers, then 200s; null never answers. */
  answers: (Reply | null)[]
  close(): Promise<void>
}

export interface Reply {
  status: number
  headers?: Record<string, string>
  body?: string
}

/** `path`: the secret part of its address. */
export async function openHook(certificate: Certificate, path: string): Promise<Hook> {
  const server = createServer(certificate, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      hook.received.push({ path: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks).toString() })
      const reply = hook.answers.length === 0 ? { status: 200, body: 'ok' } : hook.answers.shift()
      if (reply) response.writeHead(reply.status, reply.headers).end(reply.body)
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const hook: Hook = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}${path}`,
    received: [],
    answers: [],
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
  return hook
}

export interface Mailbox {
  port: number
  received: { from: string; to: string[]; user: string | undefined; secure: boolean; raw: string }[]
  /** Replies to the next recipients: 0 accepts. */
  refusals: number[]
  close(): Promise<void>
}

/** Takes mail from anybody unless `users` says who may log in. */
export async function openMailbox({ users, ...options }: SMTPServerOptions & { users?: Record<string, string> } = {}): Promise<Mailbox> {
  const server = new SMTPServer({
    authOptional: users === undefined,
    closeTimeout: 500,
    ...options,
    onAuth({ username, password }, _session, done) {
      if (users?.[username ?? ''] === password) done(null, { user: username })
      else done(Object.assign(new Error(`no login with ${password}`), { responseCode: 535 }))
    },
    onRcptTo(_address, _session, done) {
      const responseCode = mailbox.refusals.shift() ?? 0
      done(responseCode === 0 ? null : Object.assign(new Error('refused'), { responseCode }))
    },
    onData(stream, { envelope, user, secure }, done) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        mailbox.received.push({
          from: envelope.mailFrom === false ? '' : envelope.mailFrom.address,
          to: envelope.rcptTo.map(({ address }) => address),
          user: user as string | undefined,
          secure,
          raw: Buffer.concat(chunks).toString()
        })
        done()
      })
    }
  })
  // A client that does not trust the certificate breaks off.
  server.on('error', () => {})
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', () => resolve()))
  const mailbox: Mailbox = {
    port: (server.server.address() as AddressInfo).port,
    received: [],
    refusals: [],
    close: () => new Promise(resolve => server.close(() => resolve()))
  }
  return mailbox
}

/** Of a raw message, its headers unfolded, by lower-case name. */
export function headersOf(raw: string): Map<string, string> {
  const head = raw.split(/\r?\n\r?\n/, 1)[0] ?? ''
  return new Map(
    head
      .replace(/\r?\n[ \t]+/g, ' ')
      .split(/\r?\n/)
      .map(line => [line.slice(0, line.indexOf(':')).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()] as const)
  )
}
