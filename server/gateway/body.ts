// What a gateway request may carry as its body. Only publishing is decided by its body, so only that body is read key by key and
// written anew; entries, assets and content types go on as they came. Pure.
import { AppError } from '../errors.ts'
import type { GatewayCall } from './policy.ts'

export interface GatewayBody {
  contentType: string
  bytes: Buffer
}

export const largestJsonBytes = 5 * 1024 * 1024
/** contentstack.md §8.3: 100 MB by API; what is kept in memory here is less. */
export const largestFormBytes = 32 * 1024 * 1024

/**
 * Returns what to send and the call, to which a body may add reach (publish_with_reference). null = nothing to send.
 * AppError invalid for a body that the route does not take.
 */
export function readBody(call: GatewayCall, contentType: string, bytes: Buffer): { call: GatewayCall; body: GatewayBody | null } {
  const isJson = /^application\/json\s*(;\s*charset=utf-8\s*)?$/i.test(contentType)
  switch (call.body) {
    case 'none':
      if (bytes.length > 0) throw wrong('This request takes no body.')
      return { call, body: null }
    case 'publish':
      if (!isJson) throw wrong('Publishing takes a JSON body.')
      return publishBody(call, parsed(bytes))
    case 'form':
      if (bytes.length > largestFormBytes) throw wrong(`The form is larger than ${largestFormBytes} bytes.`)
      if (/^multipart\/form-data\s*;\s*boundary=[\w'()+,./:=?"-]{1,80}$/i.test(contentType)) {
        return { call, body: { contentType, bytes } }
      }
      if (!isJson || call.method === 'POST') throw wrong('An asset comes as multipart/form-data.')
      break
    case 'json':
      if (!isJson) throw wrong('This request takes a JSON body.')
      break
    default:
      throw wrong('This request takes no body.')
  }
  const wanted = { entries: 'entry', assets: 'asset', content_types: 'content_type' }[call.module]
  const names = Object.keys(parsed(bytes))
  if (names.length !== 1 || names[0] !== wanted) throw wrong(`The body must be { "${wanted}": … } and nothing else.`)
  return { call, body: { contentType: 'application/json', bytes } }
}

function publishBody(call: GatewayCall, given: Record<string, unknown>): { call: GatewayCall; body: GatewayBody } {
  const reach = [...call.reach]
  const target = call.module === 'assets' ? 'asset' : 'entry'
  for (const [name, value] of Object.entries(given)) {
    if (name === 'publish_with_reference') {
      if (value !== false) reach.push('publish_with_reference publishes entries of any content type along')
    } else if (name === target) {
      if (!isObject(value)) throw wrong(`"${target}" must be an object.`)
      for (const [inner, list] of Object.entries(value)) {
        if ((inner !== 'environments' && inner !== 'locales') || !isTexts(list)) {
          throw wrong(`"${target}" may carry lists of environments and locales, nothing else.`)
        }
      }
    } else if (
      !(name === 'version' && Number.isSafeInteger(value)) &&
      !((name === 'locale' || name === 'scheduled_at') && typeof value === 'string')
    ) {
      throw wrong(`Publishing through the gateway takes "${target}", "locale", "version" and "scheduled_at".`)
    }
  }
  if (!isObject(given[target])) throw wrong(`"${target}" is missing.`)
  return {
    call: { ...call, reach, locale: typeof given.locale === 'string' ? given.locale : call.locale },
    body: { contentType: 'application/json', bytes: Buffer.from(JSON.stringify(given)) }
  }
}

function parsed(bytes: Buffer): Record<string, unknown> {
  if (bytes.length > largestJsonBytes) throw wrong(`The body is larger than ${largestJsonBytes} bytes.`)
  let value: unknown
  try {
    value = JSON.parse(bytes.toString('utf8'))
  } catch (cause) {
    throw new AppError('invalid', 'The body is not JSON.', { cause, remedy: 'Send a JSON object.' })
  }
  if (!isObject(value)) throw wrong('The body must be a JSON object.')
  return value
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function isTexts(value: unknown): boolean {
  return Array.isArray(value) && value.every(item => typeof item === 'string')
}

function wrong(message: string): AppError {
  return new AppError('invalid', message, { remedy: 'Send what the Content Management API documents for this request.' })
}
