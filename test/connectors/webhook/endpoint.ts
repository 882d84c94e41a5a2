// A receiver of Standard Webhooks as docs/connectors.md asks for one: it verifies with the vendor's library, drops what it has had by
// its id, and takes no lower order of a record. A test may have it answer something else.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Webhook } from 'standardwebhooks'

export interface Endpoint {
  url: string
  secret: string
  /** Requests that came, refused ones included. */
  received: { id: string; signatures: string[]; body: string }[]
  /** What a website would show: key -> fields. */
  records: Map<string, Record<string, unknown>>
  /** Answers in the place of the receiver; returns false to let it do its work. */
  answer: (request: IncomingMessage, response: ServerResponse, body: string) => boolean
  close(): Promise<void>
}

interface Body {
  type: string
  data: { key: string; order: number; fields?: Record<string, unknown> }
}

export async function openEndpoint(secret: string): Promise<Endpoint> {
  const webhook = new Webhook(secret)
  const seen = new Set<string>()
  const orders = new Map<string, number>()
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const id = String(request.headers['webhook-id'])
      endpoint.received.push({ id, signatures: String(request.headers['webhook-signature']).split(' '), body })
      if (!endpoint.answer(request, response, body)) response.writeHead(take(request, id, body)).end()
    })
  })
  const take = (request: IncomingMessage, id: string, body: string): number => {
    let message: Body
    try {
      message = webhook.verify(body, request.headers as Record<string, string>) as Body
    } catch {
      return 401
    }
    if (seen.has(id) || message.type === 'ping') return 204
    const { key, order, fields } = message.data
    const amount = fields?.['amount'] ?? 0
    if (typeof amount === 'string' && Number.isNaN(Number(amount))) return 422
    seen.add(id)
    if (order < (orders.get(key) ?? 0)) return 204
    orders.set(key, order)
    if (message.type === 'record.deleted') endpoint.records.delete(key)
    else endpoint.records.set(key, { ...fields, _key: key })
    return 204
  }
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const endpoint: Endpoint = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook?token=in-the-address`,
    secret,
    received: [],
    records: new Map(),
    answer: () => false,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
  return endpoint
}
