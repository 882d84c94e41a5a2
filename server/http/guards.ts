// What a door may ask of a request before anything else happens: who it is, where it came from, how often. Each folder of
// this room applies its guard once, on its router; a route below never checks again.
import { isIPv6 } from 'node:net'
import type { Request, RequestHandler } from 'express'
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible'
import type { z } from 'zod/mini'
import { AppError } from '../errors.ts'

/** Value of a cookie, or null. */
export function cookieOf(request: Request, name: string): string | null {
  for (const pair of (request.headers.cookie ?? '').split(';')) {
    const at = pair.indexOf('=')
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim()
  }
  return null
}

export function bearerOf(request: Request): string | null {
  return /^Bearer ([\w.~+/=-]{1,4096})$/.exec(request.headers.authorization ?? '')?.[1] ?? null
}

/**
 * A change asked for with a cookie must come from our own pages: browsers send Origin with every such request, and no form
 * can send JSON. AppError forbidden.
 */
export function ownOriginOnly(publicUrl: string): RequestHandler {
  return (request, _response, next) => {
    if (request.method === 'GET' || request.method === 'HEAD') return next()
    if (request.headers.origin !== publicUrl || !request.is('application/json')) {
      throw new AppError('forbidden', 'This change was not asked for by a page of Quayside.', {
        remedy: `Open ${publicUrl} and try again there.`
      })
    }
    next()
  }
}

/** Counts one by that name; rejects with AppError rate_limited beyond `points` in `seconds`, in this process. */
export function limitOf(points: number, seconds: number): (name: string) => Promise<void> {
  const limiter = new RateLimiterMemory({ points, duration: seconds })
  return async name => {
    try {
      await limiter.consume(name)
    } catch (refusal) {
      if (!(refusal instanceof RateLimiterRes)) throw refusal
      throw new AppError('rate_limited', 'Too many requests.', {
        retryAfterSeconds: refusal.msBeforeNext / 1000,
        remedy: 'Wait a moment, then try again.'
      })
    }
  }
}

/** The same for every request, by client address. */
export function atMost(points: number, seconds: number): RequestHandler {
  const count = limitOf(points, seconds)
  return async (request, _response, next) => {
    await count(clientOf(request))
    next()
  }
}

/** Whom a limit counts: an IPv4 address, or an IPv6 network of 64 bits, since each client has that many to choose from. */
export function clientOf({ ip }: Pick<Request, 'ip'>): string {
  const address = (ip ?? 'unknown').replace(/^::ffff:(?=\d+\.)/i, '').replace(/%.*$/, '')
  if (!isIPv6(address)) return address
  const [head = '', tail] = address.split('::', 2)
  const groups = head === '' ? [] : head.split(':')
  const rest = tail === undefined || tail === '' ? [] : tail.split(':')
  const zeros = tail === undefined ? 0 : 8 - groups.length - rest.length
  const all = [...groups, ...Array<string>(Math.max(0, zeros)).fill('0'), ...rest]
  return `${all
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}

/** The body in the contract's shape. AppError invalid, naming each field. */
export function bodyOf<T extends z.ZodMiniType>(request: Request, shape: T): z.infer<T> {
  if (hasNul(request.body)) throw unwritable('body')
  const parsed = shape.safeParse(request.body ?? {})
  if (parsed.success) return parsed.data
  const fields: Record<string, string[]> = {}
  for (const issue of parsed.error.issues) (fields[issue.path.join('.') || 'body'] ??= []).push(issue.message)
  throw new AppError('invalid', `The request is not valid: ${Object.keys(fields).join(', ')}.`, {
    fields,
    remedy: 'Correct the named fields.'
  })
}

/** A query parameter as text, or undefined. AppError invalid when given twice. */
export function queryOf(request: Request, name: string): string | undefined {
  const value = request.query[name]
  if (value === undefined || value === '') return undefined
  if (typeof value !== 'string') throw new AppError('invalid', `The parameter "${name}" is given more than once.`)
  if (hasNul(value)) throw unwritable(name)
  return value
}

export function requiredQuery(request: Request, name: string): string {
  const value = queryOf(request, name)
  if (value === undefined) throw new AppError('invalid', `The parameter "${name}" is missing.`)
  return value
}

export function paramOf(request: Request, name: string): string {
  const value = request.params[name]
  if (typeof value !== 'string') throw new AppError('not_found', 'There is nothing here.')
  if (hasNul(value)) throw unwritable(name)
  return value
}

/** PostgreSQL keeps no NUL in a text; asked with one, it answers like a defect of ours. */
function hasNul(value: unknown): boolean {
  // Without recursion: a body may be nested deeper than our stack.
  const left: unknown[] = [value]
  for (let next = left.pop(); left.length > 0 || next !== undefined; next = left.pop()) {
    if (typeof next === 'string' && next.includes('\0')) return true
    if (typeof next === 'object' && next !== null) for (const pair of Object.entries(next)) for (const one of pair) left.push(one ?? '')
  }
  return false
}

function unwritable(name: string): AppError {
  return new AppError('invalid', `There is a NUL character in "${name}".`, { remedy: 'Leave it out.' })
}

/** The route's job. Throws AppError not_found for what cannot be one. */
export function jobIdOf(request: Request): number {
  const text = paramOf(request, 'jobId')
  if (!/^\d{1,15}$/.test(text)) throw new AppError('not_found', `There is no job ${text}.`)
  return Number(text)
}
