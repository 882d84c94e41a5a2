// What the person asked of `npm run demo`, and on which ports. A port that was asked for by name and is taken ends the demo
// with that name; a default that is taken gives way to any free one.
import { randomInt } from 'node:crypto'
import { createServer } from 'node:net'
import { parseArgs } from 'node:util'

export interface Options {
  /** Directory of a CLI export to load instead of the built-in world. */
  stackDirectory: string | undefined
  /** Continue the last demo's world instead of a fresh one. */
  keep: boolean
  /** Leave the install to the person. */
  fresh: boolean
  /** End after the checks. */
  once: boolean
  json: boolean
  /** Restart the server when its sources change. */
  watch: boolean
}

export const usage = `npm run demo -- [--stack DIR] [--keep] [--fresh] [--once [--json]]
  --stack DIR  use a stack exported by Contentstack's CLI (csdx cm:stacks:export)
  --keep       continue the last demo's world (default: a fresh one)
  --fresh      leave installing the app to you
  --once       end after the syncs are complete and checked; 0 = all held
  --json       with --once: end in one JSON line`

/** Throws Error with the usage for an unknown flag or a flag that cannot stand alone. */
export function readOptions(args: string[]): Options {
  try {
    const { values } = parseArgs({
      args,
      options: {
        stack: { type: 'string' },
        keep: { type: 'boolean', default: false },
        fresh: { type: 'boolean', default: false },
        once: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        watch: { type: 'boolean', default: false }
      }
    })
    if (values.json && !values.once) throw new Error('--json goes with --once')
    if (values.keep && values.once) throw new Error('--keep goes on where the last demo stopped; --once checks a fresh one')
    if (values.fresh && values.once) throw new Error('--fresh leaves the install to you, so --once would have nothing to check')
    return {
      stackDirectory: values.stack,
      keep: values.keep,
      fresh: values.fresh,
      once: values.once,
      json: values.json,
      watch: values.watch
    }
  } catch (cause) {
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n\n${usage}`, { cause })
  }
}

const ports = {
  application: ['DEMO_CMS_PORT', 4100],
  contentManagement: ['DEMO_CMA_PORT', 4101],
  developerHub: ['DEMO_DEVELOPER_HUB_PORT', 4102],
  identity: ['DEMO_IDENTITY_PORT', 4103],
  control: ['DEMO_CONTROL_PORT', 4104],
  server: ['DEMO_SERVER_PORT', 4000]
} as const

export type Ports = Record<keyof typeof ports, number>

/**
 * `kept` are the ports of the world that is continued: its frames are frozen to them. Throws Error naming the variable when a port
 * that it sets, or that must stay, is taken.
 */
export async function choosePorts(environment: Record<string, string | undefined>, kept: Ports | null = null): Promise<Ports> {
  const chosen: Partial<Ports> = {}
  for (const [name, [variable, preferred]] of Object.entries(ports) as [keyof Ports, (typeof ports)[keyof Ports]][]) {
    const asked = kept === null ? environment[variable] : String(kept[name])
    if (asked !== undefined && !/^\d{1,5}$/.test(asked)) throw new Error(`${variable} is "${asked}"; it must be a port number.`)
    const free = await freePort(asked === undefined ? preferred : Number(asked))
    if (free === null && asked !== undefined)
      throw new Error(
        kept === null
          ? `Port ${asked} is taken; set ${variable} to another one.`
          : `Port ${asked} of the kept world (${variable}) is taken; free it, or start without --keep.`
      )
    chosen[name] = free ?? (await freePort(0)) ?? 0
  }
  return chosen as Ports
}

/**
 * Any free ports, for tests and benchmarks: the sandbox takes what is free as it opens. The server's is registered with the app
 * before it listens, and is chosen below the range from which systems number outgoing connections, so that it is still free
 * when a killed server comes back.
 */
export async function anyPorts(): Promise<Ports> {
  for (;;) {
    const server = await freePort(20_000 + randomInt(10_000))
    if (server !== null) return { application: 0, contentManagement: 0, developerHub: 0, identity: 0, control: 0, server }
  }
}

/** The port if both loopback families can have it (0 = any), or null. */
async function freePort(port: number): Promise<number | null> {
  const onFour = await tryListen(port, '127.0.0.1')
  if (onFour === null) return null
  const onSix = await tryListen(onFour, '::1')
  return onSix === null && (await hasIpv6()) ? null : onFour
}

async function hasIpv6(): Promise<boolean> {
  return (await tryListen(0, '::1')) !== null
}

function tryListen(port: number, host: string): Promise<number | null> {
  return new Promise(settle => {
    const server = createServer()
    server.once('error', () => settle(null))
    server.listen(port, host, () => {
      const address = server.address()
      server.close(() => settle(typeof address === 'object' && address ? address.port : null))
    })
  })
}
