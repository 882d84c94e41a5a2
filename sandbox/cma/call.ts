// One request to the CMA, opened once: the stack its api_key names, who asks, which branch, its parameters. Every route starts
// from a Call and so cannot forget the limiter, the credential or the branch.
import type { Request, RequestHandler, Response } from 'express'
import type { SandboxContext } from '../context.ts'
import type { Credential, Stack } from '../world/model.ts'
import { branchNamed } from '../world/stack.ts'
import { credentialOf } from './credentials.ts'
import { createLimiter, type Lane, type Limiter } from './limiter.ts'
import { permit, permitBranch, type Action, type Module } from './permissions.ts'
import { noStack, rateLimited, Refusal } from './refusal.ts'

export interface PersonalCall {
  context: SandboxContext
  credential: Credential
  params: URLSearchParams
  /** The JSON body; {} when there was none. */
  body: Record<string, unknown>
}

export interface Call extends PersonalCall {
  stack: Stack
  branch: string
  /** Throws Refusal unless the credential may do that here. */
  permit(module: Module, action: Action): void
  /** For writes: permission before `validate` or after it, as the play `writeProbe` has it. Returns what `validate` made. */
  permitWrite<T>(module: Module, validate: () => T, action?: Action): T
}

export type Answer = { status?: number; body: unknown } | null

/** Builds route handlers; `null` from a handler means it has answered by itself. */
export interface Doors {
  /** Within a stack; the lane is read for GET, else write, unless given. */
  stack(handle: (call: Call, request: Request, response: Response) => Answer | Promise<Answer>, lane?: Lane): RequestHandler
  /** Outside of any stack, for a person. */
  personal(handle: (call: PersonalCall, request: Request, response: Response) => Answer | Promise<Answer>): RequestHandler
  /** Before anybody is known. */
  open(handle: (request: Request, response: Response) => Answer | Promise<Answer>): RequestHandler
}

export function createDoors(context: SandboxContext): Doors {
  const limiter = createLimiter(context)
  const answer = (response: Response, given: Answer) => {
    if (given) response.status(given.status ?? 200).json(given.body)
  }
  return {
    stack: (handle, lane) => async (request, response) => {
      const stack = stackNamed(context, request)
      count(limiter, response, stack.organizationUid, lane ?? laneOf(request))
      answer(response, await handle(openCall(context, request, stack), request, response))
    },
    personal: handle => async (request, response) => {
      count(limiter, response, String(request.headers['organization_uid'] ?? ''), laneOf(request))
      const credential = credentialOf(context, request.headers, null)
      answer(response, await handle({ context, credential, ...contentOf(request) }, request, response))
    },
    open: handle => async (request, response) => {
      // Logging in counts towards no organization; the headers still stand on every response.
      response.setHeader('X-RateLimit-Limit', context.limits[laneOf(request)])
      response.setHeader('X-RateLimit-Remaining', context.limits[laneOf(request)])
      answer(response, await handle(request, response))
    }
  }
}

function openCall(context: SandboxContext, request: Request, stack: Stack): Call {
  const credential = credentialOf(context, request.headers, stack)
  // That a stack without branches does not look at the header is not established.
  const named = stack.branchless ? null : (request.headers['branch'] ?? new URLSearchParams(searchOf(request)).get('branch'))
  const asked = String(named ?? 'main')
  const branch = branchNamed(stack, asked)
  // The status and code of an unknown branch are not established in the reference.
  if (!branch) throw new Refusal(422, 901, `Branch '${asked}' was not found. Please try again.`, { branch: ['is not valid.'] })
  permitBranch(context.world, stack, credential, branch.uid)
  const may = (module: Module, action: Action) => permit(context.world, stack, credential, module, action)
  return {
    context,
    credential,
    stack,
    branch: branch.uid,
    ...contentOf(request),
    permit: may,
    permitWrite(module, validate, action = 'write') {
      if (context.plays.writeProbe === 'permission-first') {
        may(module, action)
        return validate()
      }
      const valid = validate()
      may(module, action)
      return valid
    }
  }
}

function stackNamed(context: SandboxContext, request: Request): Stack {
  const apiKey = request.headers['api_key'] ?? new URLSearchParams(searchOf(request)).get('api_key')
  const stack = typeof apiKey === 'string' ? context.world.stacks[apiKey] : undefined
  if (!stack) throw noStack()
  return stack
}

function count(limiter: Limiter, response: Response, organization: string, lane: Lane): void {
  const verdict = limiter(organization, lane)
  response.setHeader('X-RateLimit-Limit', verdict.limit)
  response.setHeader('X-RateLimit-Remaining', verdict.remaining)
  if (!verdict.admitted) throw rateLimited()
}

function laneOf(request: Request): Lane {
  return request.method === 'GET' || request.method === 'HEAD' ? 'read' : 'write'
}

function contentOf(request: Request): { params: URLSearchParams; body: Record<string, unknown> } {
  const body: unknown = request.body
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
  return { params: new URLSearchParams(searchOf(request)), body: isObject ? (body as Record<string, unknown>) : {} }
}

function searchOf(request: Request): string {
  const at = request.originalUrl.indexOf('?')
  return at === -1 ? '' : request.originalUrl.slice(at)
}
