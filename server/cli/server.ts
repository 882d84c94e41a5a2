// How a command speaks to the running server: over its own address, marked with the key ring (http/operator). Reads only what it
// needs of the settings, so that it works beside a server whose other files it may not read.
import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { AppError } from '../errors.ts'
import type { Problem } from '../http/contract/problem.ts'
import { markOf } from '../http/operator/operator.ts'
import type { KeyRing } from '../vault/cipher.ts'
import { readKeyFile, required } from './key-file.ts'
import { tableOf } from './table.ts'

/**
 * Throws AppError: `upstream` when no server answers, otherwise what the server said. `ring`: marked with its current key instead of the
 * key file's. `at.base`: another address of it than the public one.
 */
export async function askServer<T>(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  json?: unknown,
  ring?: KeyRing,
  at: { base?: string; signal?: AbortSignal } = {}
): Promise<T> {
  const base = at.base ?? required('QUAYSIDE_PUBLIC_URL').replace(/\/+$/, '')
  const { current } = ring ?? readKeyFile().ring
  const body = json === undefined ? '' : JSON.stringify(json)
  const actor = whoAmI()
  const [sentAt, word] = [Date.now(), randomUUID()]
  const route = `/api/operator${path}`
  const headers = {
    'x-quayside-actor': actor,
    'x-quayside-sent-at': String(sentAt),
    'x-quayside-word': word,
    'x-quayside-mark': markOf(current, { method, path: route, body, sentAt, word, actor })
  }
  // A redirection would carry the mark to whoever it names, before it was used.
  const init = { method, headers, redirect: 'error', ...(body === '' ? {} : { body }), ...(at.signal && { signal: at.signal }) } as const
  const response = await fetch(`${base}${route}`, init).catch((cause: unknown) => {
    throw new AppError('upstream', `No server answers at ${base}.`, { cause, remedy: 'Start it, or correct QUAYSIDE_PUBLIC_URL.' })
  })
  const answer: unknown = await response.json().catch(() => null)
  if (response.ok && answer !== null) return answer as T
  const error = (answer as Partial<Problem> | null)?.error
  if (error === undefined) {
    throw new AppError('upstream', `What answers at ${base} is no Quayside (status ${response.status}).`, {
      remedy: 'Correct QUAYSIDE_PUBLIC_URL, or look at the proxy in front of the server.'
    })
  }
  const { remedy, fields } = error
  throw new AppError(error.code, error.message, {
    ...(remedy === undefined ? {} : { remedy }),
    ...(fields === undefined ? {} : { fields })
  })
}

/** A container's account often has no name, which Node answers by throwing. */
function whoAmI(): string {
  try {
    return userInfo().username
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** A table for people, JSON for programs. */
export function print(json: boolean, value: unknown, rows: Record<string, unknown>[]): void {
  if (json) process.stdout.write(`${JSON.stringify(value)}\n`)
  else if (rows.length === 0) process.stdout.write('none\n')
  else process.stdout.write(`${tableOf(rows, process.stdout.isTTY ? process.stdout.columns : undefined)}\n`)
}
