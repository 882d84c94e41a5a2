// Loaded into a server process before it starts (--import): writes down every answer that the server gives, head and body as they left,
// so that a test can look for what must not be in one. Answers of others are not its affair, nor is what the server asks of others.
import { appendFileSync } from 'node:fs'
import { ServerResponse } from 'node:http'
import { dirname, join } from 'node:path'

/** Beside the key file, where the flow looks for it. One line of JSON per answer: { to, head, body }. */
const file = join(dirname(process.env.QUAYSIDE_KEY_FILE ?? ''), 'answers.jsonl')

type Chunked = (this: ServerResponse, chunk?: unknown, ...rest: unknown[]) => unknown

const bodies = new WeakMap<ServerResponse, string>()
const { write, end } = ServerResponse.prototype as unknown as { write: Chunked; end: Chunked }

function note(response: ServerResponse, chunk: unknown): void {
  const text = typeof chunk === 'string' ? chunk : chunk instanceof Uint8Array ? Buffer.from(chunk).toString('latin1') : ''
  bodies.set(response, (bodies.get(response) ?? '') + text)
}

Object.assign(ServerResponse.prototype, {
  write(this: ServerResponse, chunk?: unknown, ...rest: unknown[]) {
    note(this, chunk)
    return write.call(this, chunk, ...rest)
  },
  end(this: ServerResponse, chunk?: unknown, ...rest: unknown[]) {
    const over = this.writableEnded
    if (!over) note(this, chunk)
    const result = end.call(this, chunk, ...rest)
    if (!over) {
      const { method, url = '', originalUrl = url } = this.req as typeof this.req & { originalUrl?: string }
      // The query is the asker's own, and may hold what it alone knows.
      const to = `${method} ${originalUrl.split('?')[0]}`
      const { _header: head } = this as ServerResponse & { _header?: string | null }
      appendFileSync(file, `${JSON.stringify({ to, head: head ?? '', body: bodies.get(this) })}\n`, { mode: 0o600 })
    }
    return result
  }
})
