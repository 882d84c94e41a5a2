// The sandbox's CMA alone on a free port, for tests of its wire: what createSandbox composes, minus the other hosts.
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createChanges, type Change } from '../../sandbox/changes.ts'
import { createClock } from '../../sandbox/clock.ts'
import { createCma } from '../../sandbox/cma/cma.ts'
import { newAuthtoken } from '../../sandbox/cma/people.ts'
import { createLimits, type Deliveries, type SandboxContext } from '../../sandbox/context.ts'
import { createFaults } from '../../sandbox/faults.ts'
import { createPlays, type Plays } from '../../sandbox/plays.ts'
import { blogApiKey, createWorld } from '../../sandbox/world/built-in.ts'
import type { Stack, TokenScope } from '../../sandbox/world/model.ts'

export interface Reply {
  status: number
  headers: Headers
  // Bodies of many shapes are looked into; the assertions say what they hold.
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface CmaHost {
  context: SandboxContext
  stack: Stack
  changes: Change[]
  /** Origin, without `/v3`. */
  url: string
  call(method: string, path: string, credential?: Record<string, string>, body?: unknown): Promise<Reply>
  as(userUid: string): Record<string, string>
  token(options?: { name?: string; scope?: TokenScope[]; expiresOn?: string | null }): Record<string, string>
  close(): Promise<void>
}

const noDeliveries: Deliveries = { executionsOf: () => [], retry: () => Promise.resolve() }

export async function startCma(options: { plays?: Partial<Plays>; limits?: 'on' } = {}): Promise<CmaHost> {
  const urls = { application: 'http://localhost:4100', contentManagement: '', developerHub: '', identity: '', control: '' }
  const context: SandboxContext = {
    world: createWorld(),
    clock: createClock(),
    plays: createPlays(options.plays),
    faults: createFaults(),
    changes: createChanges(),
    limits: createLimits(options.limits === 'on' ? {} : 'off'),
    urls,
    deliveries: noDeliveries
  }
  const changes: Change[] = []
  context.changes.subscribe(change => changes.push(change))
  const server = createServer(createCma(context)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  urls.contentManagement = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const stack = context.world.stacks[blogApiKey] as Stack

  return {
    context,
    stack,
    changes,
    url: urls.contentManagement,
    async call(method, path, credential = {}, body) {
      const form = body instanceof FormData
      const response = await fetch(`${urls.contentManagement}/v3${path}`, {
        method,
        headers: { api_key: blogApiKey, ...(body !== undefined && !form && { 'content-type': 'application/json' }), ...credential },
        ...(body !== undefined && { body: form ? body : JSON.stringify(body) })
      })
      const text = await response.text()
      return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) }
    },
    as: userUid => ({ authtoken: newAuthtoken(context, userUid) }),
    token(wanted = {}) {
      const number = Object.keys(stack.managementTokens).length + 1
      const at = context.clock.iso()
      const uid = `cstoken${number}`
      stack.managementTokens[uid] = {
        uid,
        name: wanted.name ?? `Token ${number}`,
        description: '',
        secret: `cssecret${number}`,
        scope: wanted.scope ?? [{ module: 'content_type', acl: { read: true, write: true } }, branchScope('main')],
        expires_on: wanted.expiresOn ?? null,
        is_email_notification_enabled: false,
        createdAt: at,
        updatedAt: at,
        createdBy: '',
        dead: false
      }
      return { authorization: `cssecret${number}` }
    },
    async close() {
      context.clock.close()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
}

export function branchScope(...branches: string[]): TokenScope {
  return { module: 'branch', branches, acl: { read: true } }
}
