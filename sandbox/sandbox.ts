// Puts the sandbox together: one world, five hosts, each a region's role on a port of its own. The only file that knows all
// rooms. Ports first, then addresses, then what answers there, because the rooms name each other's addresses.
import { mkdir } from 'node:fs/promises'
import type { RequestListener } from 'node:http'
import { basename, dirname, resolve } from 'node:path'
import express from 'express'
import { createApplication } from './application/application.ts'
import { createChanges } from './changes.ts'
import { type Clock, createClock } from './clock.ts'
import { createCma } from './cma/cma.ts'
import { createLimits, type Limits, type SandboxContext } from './context.ts'
import { createControl } from './control/control.ts'
import { createDeveloperHub } from './developerhub/developer-hub.ts'
import { createFaults, faultMiddleware, type SandboxHost } from './faults.ts'
import { createIdentity, type IdentityClient } from './identity/provider.ts'
import { type Host, openHost } from './listen.ts'
import { oauthRoutes } from './oauth/routes.ts'
import { createPlays, type Plays } from './plays.ts'
import { createDeliveries } from './webhooks/deliveries.ts'
import { createWorld } from './world/built-in.ts'
import { loadStack } from './world/load-stack.ts'
import type { World } from './world/model.ts'
import { restore, snapshot } from './world/snapshot.ts'

export interface SandboxOptions {
  /** 4100 to 4104 unless set; 0 takes a free one. */
  ports?: Partial<Record<SandboxHost, number>>
  /** A stack exported by Contentstack's CLI, added to the built-in world. */
  stackDirectory?: string
  /** Continues the world of this file and saves to it: when closing, and every 30 s in which something was asked for. */
  snapshotFile?: string
  limits?: Partial<Omit<Limits, 'off'>> | 'off'
  plays?: Partial<Plays>
  /** The console's client at the identity provider; more may be registered later. */
  identityClient?: IdentityClient
  /** Changes the world before anybody sees it. */
  world?: (world: World) => void
}

export interface Sandbox {
  world: World
  /** What was loaded or continued, and what of an export was left aside: lines for the terminal. */
  notes: string[]
  /** For tests that look behind the wire. */
  context: SandboxContext
  clock: Clock
  urls: SandboxContext['urls']
  registerIdentityClient: (client: IdentityClient) => void
  /** Resolves when no webhook is due or in flight. */
  settleWebhooks: () => Promise<void>
  close: () => Promise<void>
}

const hostNames = ['application', 'contentManagement', 'developerHub', 'identity', 'control'] as const
export const firstPort = 4100
const saveEveryMs = 30_000

/** Throws PortTaken, or Error naming the directory or file that cannot be used. */
export async function createSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const { world, notes } = await prepareWorld(options)
  const hosts = await openHosts(options.ports ?? {})
  const urls: SandboxContext['urls'] = {
    application: hosts.application.url,
    contentManagement: hosts.contentManagement.url,
    developerHub: hosts.developerHub.url,
    identity: hosts.identity.url,
    control: hosts.control.url
  }
  const context: SandboxContext = {
    world,
    clock: createClock(),
    plays: createPlays(options.plays),
    faults: createFaults(),
    changes: createChanges(),
    limits: createLimits(options.limits),
    urls,
    deliveries: { executionsOf: () => [], retry: () => Promise.resolve() }
  }
  const webhooks = createDeliveries(context)
  context.deliveries = webhooks
  const identity = createIdentity(context, options.identityClient)

  let changed = false
  const serve = (name: SandboxHost, listener: RequestListener): void => {
    hosts[name].serve((request, response) => {
      if (request.method !== 'GET' && request.method !== 'HEAD') changed = true
      listener(request, response)
    })
  }
  serve('application', behindFaults(context, 'application', createApplication(context, [oauthRoutes(context)])))
  serve('contentManagement', createCma(context))
  serve('developerHub', createDeveloperHub(context, webhooks.tellApp, webhooks))
  serve('identity', identity.app)
  serve('control', createControl(context, { settle: webhooks.settle, identity }))

  const { snapshotFile } = options
  const saving = snapshotFile === undefined ? undefined : setInterval(() => void save(), saveEveryMs)
  saving?.unref()
  async function save(): Promise<void> {
    if (snapshotFile === undefined || !changed) return
    changed = false
    try {
      await snapshot(world, snapshotFile)
    } catch (error) {
      console.error(`The sandbox's world could not be saved to ${snapshotFile}:`, error)
    }
  }

  let closing: Promise<void> | undefined
  return {
    world,
    notes,
    context,
    clock: context.clock,
    urls,
    registerIdentityClient: identity.registerClient,
    settleWebhooks: webhooks.settle,
    close() {
      closing ??= (async () => {
        clearInterval(saving)
        await closeHosts(hosts)
        await webhooks.close()
        context.clock.close()
        changed = true
        await save()
      })()
      return closing
    }
  }
}

function behindFaults(context: SandboxContext, name: SandboxHost, room: express.Router | express.Express): express.Express {
  const app = express()
  app.disable('x-powered-by')
  // Hashing every page of a large listing would cost more than making it.
  app.disable('etag')
  return app.use(faultMiddleware(context, name), room)
}

async function prepareWorld(options: SandboxOptions): Promise<{ world: World; notes: string[] }> {
  const kept = options.snapshotFile === undefined ? null : await restore(options.snapshotFile)
  if (options.snapshotFile !== undefined) await mkdir(dirname(options.snapshotFile), { recursive: true })
  const world = kept ?? createWorld()
  const notes: string[] = kept ? [`Continuing the world of ${options.snapshotFile}.`] : []
  const directory = options.stackDirectory
  if (directory !== undefined && !Object.values(world.stacks).some(stack => stack.name === basename(resolve(directory)))) {
    const loaded = loadStack(world, directory)
    notes.push(`Loaded ${loaded.stack.name}: ${loaded.entries} entries, ${loaded.assets} assets.`, ...loaded.notes.map(note => `  ${note}`))
  }
  options.world?.(world)
  return { world, notes }
}

async function openHosts(ports: NonNullable<SandboxOptions['ports']>): Promise<Record<SandboxHost, Host>> {
  const open: Partial<Record<SandboxHost, Host>> = {}
  try {
    for (const [index, name] of hostNames.entries()) open[name] = await openHost(name, ports[name] ?? firstPort + index)
  } catch (error) {
    await closeHosts(open)
    throw error
  }
  return open as Record<SandboxHost, Host>
}

async function closeHosts(hosts: Partial<Record<SandboxHost, Host>>): Promise<void> {
  await Promise.all(Object.values(hosts).map(host => host.close()))
}
