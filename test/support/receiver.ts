// A place that webhooks are sent to: keeps what arrived, bytes and headers, and answers what the test wants.
import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'

export interface Received {
  headers: IncomingHttpHeaders
  raw: Buffer
  /** The body as JSON. */
  json: { module: string; event: string; api_key: string; triggered_at: string; data: Record<string, Record<string, unknown>> }
}

export interface Receiver {
  url: string
  received: Received[]
  /** Status of the next answers; null never answers. */
  answer: number | null
  close(): Promise<void>
}

export async function openReceiver(): Promise<Receiver> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const raw = Buffer.concat(chunks)
      receiver.received.push({ headers: request.headers, raw, json: JSON.parse(raw.toString()) as Received['json'] })
      if (receiver.answer !== null) response.writeHead(receiver.answer).end()
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const receiver: Receiver = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`,
    received: [],
    answer: 200,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
  return receiver
}
