// The one guard of what connectors may reach (security.md, Outgoing): hosts are resolved once and pinned, private ranges are
// refused unless the operator allows them by name, files stay under the operator's directory, and our own database is no target.
import { realpathSync } from 'node:fs'
import { lookup } from 'node:dns/promises'
import { BlockList, isIP, isIPv6, type LookupFunction } from 'node:net'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'
import { Agent, fetch as undiciFetch } from 'undici'
import { AppError } from '../errors.ts'

export interface GuardSettings {
  /** The only directory in which a connector may open files. */
  filesDirectory: string
  /** Host names or addresses in private ranges that may be reached all the same. */
  privateHosts: readonly string[]
  /** Absolute paths that are never a target, wherever they stand: our own database. */
  ownFiles?: readonly string[]
}

export interface Guard {
  /** Address to connect to. Throws AppError forbidden for a private one, upstream for a name that does not resolve. */
  resolve(host: string): Promise<string>
  /** Absolute path. Throws AppError forbidden outside the directory, invalid for what cannot be a path. */
  file(path: string): string
  fetch: typeof fetch
}

/** https://www.iana.org/assignments/iana-ipv4-special-registry and -ipv6-: all that is not the public internet. */
const privateRanges = new BlockList()
for (const [network, prefix] of [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4]
] as const) {
  privateRanges.addSubnet(network, prefix, 'ipv4')
}
for (const [network, prefix] of [
  ['::', 128],
  ['::1', 128],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8]
] as const) {
  privateRanges.addSubnet(network, prefix, 'ipv6')
}

/** Also true for IPv4 inside IPv6 (::ffff:10.0.0.1): BlockList looks through that form. */
export function isPrivateAddress(address: string): boolean {
  return privateRanges.check(address, isIPv6(address) ? 'ipv6' : 'ipv4')
}

export function createGuard(settings: GuardSettings): Guard {
  const allowed = new Set(settings.privateHosts.map(host => host.toLowerCase()))
  const directory = resolve(settings.filesDirectory)

  async function resolveHost(host: string): Promise<string> {
    const name = host
      .trim()
      .toLowerCase()
      .replace(/^\[(.*)\]$/, '$1')
      .replace(/\.$/, '')
    const addresses = isIP(name) ? [name] : (await find(name)).map(({ address }) => address)
    const found = addresses.find(address => !isPrivateAddress(address) || allowed.has(name) || allowed.has(address))
    if (found !== undefined) return found
    throw new AppError('forbidden', `${host} is inside a private network, where connections may not reach.`, {
      remedy: 'The operator of this Quayside can allow it in the list of private hosts.'
    })
  }

  const pinned: LookupFunction = (host, options, callback) => {
    const answer = async (): Promise<void> => {
      try {
        const address = await resolveHost(host)
        const family = isIPv6(address) ? 6 : 4
        if (options.all) callback(null, [{ address, family }])
        else callback(null, address, family)
      } catch (error) {
        callback(error as Error, '', 4)
      }
    }
    void answer()
  }
  let agent: Agent | undefined

  return {
    resolve: resolveHost,
    file(path) {
      if (path.trim() === '' || path.includes('\0'))
        throw new AppError('invalid', 'A file needs a name.', { fields: { 'settings.file': ['needs a name'] } })
      const wanted = resolve(directory, path)
      const real = realPath(wanted)
      const inside = relative(realPath(directory), real)
      if (inside === '' || inside === '..' || inside.startsWith(`..${sep}`) || isAbsolute(inside)) {
        throw new AppError('forbidden', `The file ${path} is outside the directory in which connections may open files.`, {
          remedy: 'Name a file relative to that directory, without "..".'
        })
      }
      const own = (settings.ownFiles ?? []).map(file => realPath(resolve(file)))
      if (own.some(file => real === file || real.startsWith(`${file}-`)))
        throw new AppError('forbidden', `The file ${path} is Quayside's own database.`, { remedy: 'Name another file.' })
      return real
    },
    // A literal address never reaches `lookup`, so it is judged here; redirects come through here again, one by one.
    fetch: (async (input: string | URL | Request, init?: RequestInit) => {
      agent ??= new Agent({ connect: { lookup: pinned } })
      let url = new URL(input instanceof Request ? input.url : input)
      for (let hops = 0; hops <= 5; hops++) {
        if (url.protocol !== 'https:' && url.protocol !== 'http:')
          throw new AppError('forbidden', `${url.protocol} addresses are not reached.`)
        await resolveHost(url.hostname)
        const response = await undiciFetch(url, { ...(init as object), redirect: 'manual', dispatcher: agent })
        const next = response.headers.get('location')
        if (response.status < 300 || response.status > 399 || next === null || init?.redirect === 'manual') return response
        if (init?.method !== undefined && init.method !== 'GET' && init.method !== 'HEAD')
          throw new AppError('upstream', `${url.host} redirects a ${init.method}, which is not followed.`)
        const target = new URL(next, url)
        if (target.host !== url.host && init?.headers !== undefined) init = { ...init, headers: {} }
        url = target
      }
      throw new AppError('upstream', `${url.host} redirects in circles.`)
    }) as unknown as typeof fetch
  }
}

async function find(name: string): Promise<{ address: string }[]> {
  try {
    return await lookup(name, { all: true })
  } catch (cause) {
    throw new AppError('upstream', `The host ${name} cannot be found.`, { cause, remedy: 'Check the host name.' })
  }
}

/** With links followed as far as the path exists. */
function realPath(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(realPath(parent), path.slice(parent.length).replace(/^[/\\]+/, ''))
  }
}
