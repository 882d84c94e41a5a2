// What a door may ask of a request before anything else happens: who it is, where it came from, how often. Each folder of
// this room applies its guard once, on its router; a route below never checks again.
import type { Request, RequestHandler } from 'express'
import { RateLimiterMemory } from 'rate-limiter-flexible'
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

/** At most `points` requests in `seconds` per client address, in this process. AppError rate_limited. */
export function atMost(points: number, seconds: number): RequestHandler {
  const limiter = new RateLimiterMemory({ points, duration: seconds })
  return async (request, _response, next) => {
    await limiter.consume(request.ip ?? 'unknown').catch((refusal: unknown) => {
      if (refusal instanceof Error) throw refusal
      throw new AppError('rate_limited', 'Too many requests from this address.', { retryAfterSeconds: seconds })
    })
    next()
  }
}

/** The body in the contract's shape. AppError invalid, naming each field. */
export function bodyOf<T extends z.ZodMiniType>(request: Request, shape: T): z.infer<T> {
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
  return value
}
