// The CMA for scripts: an access key's request, read by the policy, carried out with the stack's management token under the
// organization's budget, answered as Contentstack answered, and every accepted write attributed to the key. The token never comes
// near the script: only listed headers go out and come back.
import { touchedBy, recordWrite } from '../installations/ledger.ts'
import { type CredentialDeps, stackFor } from '../installations/credentials.ts'
import { installationById } from '../installations/installation.ts'
import type { Db } from '../database/database.ts'
import { AppError, isAppError } from '../errors.ts'
import type { KeyPrincipal } from '../identity/principal.ts'
import { readBody } from './body.ts'
import { type GatewayCall, permit, readCall } from './policy.ts'

export interface GatewayRequest {
  method: string
  /** Raw, from `/v3` on, without the query. */
  path: string
  /** Raw, without the question mark. */
  query: string
  /** Names in small letters. */
  headers: Record<string, string | string[] | undefined>
  body: Buffer
  /** Ends when the script hangs up. A write goes on all the same: what came of it must be recorded. */
  signal?: AbortSignal
}

export interface GatewayResponse {
  status: number
  headers: Record<string, string>
  body: ReadableStream<Uint8Array> | Buffer | null
}

/** https://www.contentstack.com/docs/developers/apis/content-management-api#rate-limiting; the rest is ours to say. */
const passedHeaders = ['content-type', 'x-ratelimit-limit', 'x-ratelimit-remaining', 'retry-after']
const branchShape = /^[a-z0-9_]{1,60}$/

/**
 * Contentstack's answer, whatever its status. AppError forbidden (no route, no scope, another stack), invalid (a request we do not
 * understand), conflict (installation not active), upstream (no working token, no answer).
 */
export async function handleGateway(
  db: Db,
  deps: CredentialDeps,
  principal: KeyPrincipal,
  request: GatewayRequest
): Promise<GatewayResponse> {
  const asked = readCall(request.method, request.path, request.query)
  // Before the body: to a key without the right, it is nobody's business what a good body would be.
  permit(principal.scopes, asked)
  const { call, body } = readBody(asked, headerOf(request, 'content-type') ?? '', request.body)
  // And after it: a body may reach further than the address says (publish_with_reference).
  permit(principal.scopes, call)
  const branch = await assertHeaders(db, principal, request)
  const reads = call.method === 'GET'
  const response = await answered(async () => {
    const stack = await stackFor(db, deps, principal.installationId, {
      lane: 'live',
      actor: { kind: 'key', id: principal.keyId },
      ...(reads && request.signal ? { signal: request.signal } : {})
    })
    return await stack.raw({
      method: call.method,
      target: targetOf(call),
      headers: {
        accept: 'application/json',
        ...(body ? { 'content-type': body.contentType } : {}),
        ...(branch === null ? {} : { branch })
      },
      ...(body ? { body: new Uint8Array(body.bytes) } : {}),
      kind: reads ? 'read' : 'write',
      lane: 'live',
      ...(reads && request.signal ? { signal: request.signal } : {})
    })
  })
  if (response.status >= 300 && response.status < 400) throw new AppError('upstream', 'Contentstack answered with a redirection.')
  const headers = headersOf(response)
  if (reads && response.status !== 401) return { status: response.status, headers, body: response.body }
  const bytes = Buffer.from(await response.arrayBuffer())
  if (response.status === 401 && codeIn(bytes) === 105) throw noToken()
  if (!reads && response.ok) await attribute(db, principal, call, response.status, bytes)
  return { status: response.status, headers, body: bytes }
}

async function assertHeaders(db: Db, principal: KeyPrincipal, request: GatewayRequest): Promise<string | null> {
  for (const name of ['authtoken', 'access_token']) {
    if (request.headers[name] !== undefined) {
      throw new AppError('invalid', `The gateway takes no ${name}: an access key is all it needs.`, {
        remedy: `Remove the ${name} header. If a person's authtoken was in it, log that person out.`
      })
    }
  }
  const apiKey = headerOf(request, 'api_key')
  if (apiKey !== null) {
    const installation = await installationById(db, principal.installationId)
    if (apiKey !== installation.stack_api_key) {
      throw new AppError('forbidden', 'This access key belongs to another stack than the api_key header names.', {
        remedy: 'Leave the api_key header out, or use a key of that stack.'
      })
    }
  }
  const branch = headerOf(request, 'branch')
  if (branch !== null && !branchShape.test(branch)) throw new AppError('invalid', 'The branch header names no branch.')
  return branch
}

function headerOf(request: GatewayRequest, name: string): string | null {
  const value = request.headers[name]
  if (Array.isArray(value)) throw new AppError('invalid', `The header "${name}" is given more than once.`)
  return value ?? null
}

/** Written anew from what the policy read. */
function targetOf(call: GatewayCall): string {
  const query = call.query.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`).join('&')
  return query === '' ? call.path : `${call.path}?${query}`
}

/** A missing or dead management token is our trouble, not the script's: a 401 would make it doubt its access key. */
async function answered(ask: () => Promise<Response>): Promise<Response> {
  try {
    return await ask()
  } catch (error) {
    if (isAppError(error, 'unauthorized')) throw noToken(error)
    throw error
  }
}

function noToken(cause?: unknown): AppError {
  return new AppError('upstream', 'Quayside holds no working management token for this stack. Your access key is fine.', {
    cause,
    remedy: "An admin of the stack connects it on the app's configuration page in Contentstack; then repeat the request."
  })
}

function headersOf(response: Response): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store' }
  for (const name of passedHeaders) {
    const value = response.headers.get(name)
    if (value !== null) headers[name] = value
  }
  return headers
}

async function attribute(db: Db, principal: KeyPrincipal, call: GatewayCall, status: number, bytes: Buffer): Promise<void> {
  const query = Object.fromEntries(call.query)
  const touched = touchedBy({ method: call.method, path: call.path, query, status, body: jsonIn(bytes) })
  await recordWrite(db, {
    organizationId: principal.organizationId,
    installationId: principal.installationId,
    actor: { kind: 'key', id: principal.keyId },
    method: call.method,
    path: call.path,
    status,
    ...touched,
    locale: touched.locale ?? call.locale
  })
}

function jsonIn(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return null
  }
}

function codeIn(bytes: Buffer): unknown {
  const value = jsonIn(bytes)
  return typeof value === 'object' && value !== null && 'error_code' in value ? value.error_code : null
}
