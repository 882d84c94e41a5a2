// What stands on this machine's disk and in its environment: settings, the files that hold secrets, the directories that must take
// writes. A running server's SQLite file is looked at from outside and never opened.
import { randomUUID } from 'node:crypto'
import { existsSync, statfsSync, statSync, unlinkSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import type { Examined } from '../../config.ts'
import type { Check } from '../../http/contract/doctor.ts'
import { bad, codeOf, counted, few, ok, type Probe, warn } from './check.ts'

type Environment = Record<string, string | undefined>

const fileSettings = {
  QUAYSIDE_KEY_FILE: 'key file',
  QUAYSIDE_APPS_FILE: 'apps file',
  QUAYSIDE_TENANTS_FILE: 'tenants file',
  QUAYSIDE_ALERTS_FILE: 'alerts file'
} as const
type FileSetting = keyof typeof fileSettings

export function fileProbes(environment: Environment, examined: Examined): Probe[] {
  const { filesDirectory, anchorFile, databaseUrl } = examined.config
  const { apps = [], alerts } = examined.secrets
  const regionIds = few(
    apps.map(app => app.region.id),
    7
  )
  const probes: Probe[] = [
    { name: 'settings', run: () => settings(environment, examined) },
    { name: 'key file', run: () => secretFile(environment, examined, 'QUAYSIDE_KEY_FILE', keyWords(examined)) },
    { name: 'apps file', run: () => secretFile(environment, examined, 'QUAYSIDE_APPS_FILE', `regions: ${regionIds}`) },
    { name: 'tenants file', run: () => tenants(environment, examined) }
  ]
  if (environment.QUAYSIDE_ALERTS_FILE) {
    const words = `${counted(alerts?.recipients.length ?? 0, 'standing recipient')}, ${alerts?.smtp ? 'a mail server' : 'no mail server'}`
    probes.push({ name: 'alerts file', run: () => secretFile(environment, examined, 'QUAYSIDE_ALERTS_FILE', words) })
  }
  if (anchorFile !== undefined) probes.push({ name: 'anchor file', run: () => anchors(anchorFile) })
  if (filesDirectory !== undefined) probes.push({ name: 'files directory', run: () => [writable('files directory', filesDirectory)] })
  if (databaseUrl?.startsWith('sqlite:')) probes.push({ name: 'database', run: () => sqlite(databaseUrl) })
  return probes
}

function settings(environment: Environment, { config, problems }: Examined): Check[] {
  const wrong = problems.filter(({ setting }) => !(setting in fileSettings))
  if (wrong.length > 0) return wrong.map(({ error }) => bad('settings', error.message, error.remedy ?? ''))
  const given = Object.keys(environment).filter(name => name.startsWith('QUAYSIDE_') && environment[name] !== '').length
  const mode = config.production ? 'production' : 'development'
  return [ok('settings', `${given} given; ${mode}, role ${config.role}, public address ${config.publicUrl}`)]
}

function keyWords({ secrets: { keyRing } }: Examined): string {
  if (!keyRing) return ''
  const others = keyRing.keys.size - 1
  return `current key ${keyRing.current.id}${others === 0 ? '' : `, ${others} more that open${others === 1 ? 's' : ''} what they sealed`}`
}

/** Wrong content, and who else may read it. */
function secretFile(environment: Environment, { config, problems }: Examined, setting: FileSetting, words: string): Check[] {
  const name = fileSettings[setting]
  const wrong = problems.filter(problem => problem.setting === setting)
  if (wrong.length > 0) return wrong.map(({ error }) => bad(name, error.message, error.remedy ?? ''))
  const path = resolve(environment[setting] ?? '')
  const { mode, uid } = statSync(path)
  const others = mode & 0o077
  if (others !== 0 && process.platform !== 'win32') {
    const say = config.production ? bad : warn
    return [
      say(
        name,
        `${path} holds secrets, and others on this machine may read it (mode ${(mode & 0o777).toString(8)}).`,
        `Run: chmod 600 ${path}`
      )
    ]
  }
  const us = process.getuid?.()
  if (us !== undefined && uid !== us && uid !== 0 && us !== 0)
    return [
      warn(
        name,
        `${path} belongs to another account (uid ${uid}).`,
        `Let it belong to the account that runs the server: chown ${us} ${path}`
      )
    ]
  return [ok(name, `${path}; ${words}`)]
}

function tenants(environment: Environment, examined: Examined): Check[] {
  const { organizations = [], apps } = { ...examined.config, ...examined.secrets }
  const { identityProviders = [] } = examined.secrets
  const known = new Set(organizations.map(({ region, organizationUid }) => `${region} ${organizationUid}`))
  const rows = secretFile(
    environment,
    examined,
    'QUAYSIDE_TENANTS_FILE',
    `${counted(organizations.length, 'organization')}, ${counted(identityProviders.length, 'identity provider')}`
  )
  if (rows.some(({ result }) => result === 'bad')) return rows
  const homeless = organizations.filter(({ region }) => apps && !apps.some(app => app.region.id === region))
  const granted = identityProviders
    .flatMap(({ groupRoles }) => Object.values(groupRoles))
    .flatMap(role => (role.organizations === '*' ? [] : role.organizations))
  const unlisted = granted.filter(({ region, organizationUid }) => !known.has(`${region} ${organizationUid}`))
  if (organizations.length === 0)
    rows.push(
      warn(
        'tenants file',
        'It lists no organization, so every installation stays idle.',
        'List the organizations that you serve: docs/operating.md.'
      )
    )
  for (const { name, region } of homeless)
    rows.push(
      bad(
        'tenants file',
        `${name} is in region ${region}, for which the apps file has no app.`,
        'Add the app of that region, or correct the region.'
      )
    )
  if (unlisted.length > 0) {
    const uids = few([...new Set(unlisted.map(({ region, organizationUid }) => `${organizationUid} (${region})`))])
    rows.push(
      warn(
        'tenants file',
        `Groups have a role in organizations that are not listed: ${uids}.`,
        'List them under "organizations", or correct the groups.'
      )
    )
  }
  const troubles = rows.filter(({ result }) => result !== 'ok')
  return troubles.length > 0 ? troubles : rows
}

/** Whoever may write to both it and the database may write another history. */
function anchors(path: string): Check[] {
  const directory = writable('anchor file', dirname(path))
  if (directory.result === 'bad') return [directory]
  const mode = existsSync(path) ? statSync(path).mode : 0
  if ((mode & 0o022) !== 0 && process.platform !== 'win32')
    return [warn('anchor file', `Others on this machine may write to ${path}, which proves the audit trail.`, `Run: chmod 600 ${path}`)]
  return [directory.result === 'ok' ? ok('anchor file', mode === 0 ? `${path} is made when the first heads are noted` : path) : directory]
}

function sqlite(url: string): Check[] {
  const given = url.slice('sqlite:'.length)
  if (given === ':memory:')
    return [warn('database', 'SQLite in memory: everything is lost when the server stops.', 'Name a file in QUAYSIDE_DATABASE_URL.')]
  const path = resolve(given)
  const directory = writable('database', dirname(path))
  if (directory.result === 'bad') return [directory]
  if (!existsSync(path)) {
    return [
      warn(
        'database',
        `There is no ${path} yet.`,
        'It is made when the server starts. If it has one already, run this in the directory where the server was started.'
      )
    ]
  }
  const file = statSync(path)
  if (!file.isFile()) return [bad('database', `${path} is not a file.`, 'Name a file in QUAYSIDE_DATABASE_URL.')]
  if (process.platform !== 'win32' && openToOthers(path)) {
    const remedy = `Run: chmod 700 ${dirname(path)}`
    return [warn('database', `Others on this machine may read ${path}; it names people and content, and holds sealed secrets.`, remedy)]
  }
  if (directory.result !== 'ok') return [directory]
  return [ok('database', `SQLite, ${path}, ${Math.ceil(file.size / 1024)} kB; not opened, since a server may run`)]
}

/** Readable, and every directory above may be passed. */
function openToOthers(path: string): boolean {
  if ((statSync(path).mode & 0o004) === 0) return false
  for (let at = dirname(path); ; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) return false
    if (at === dirname(at)) return true
  }
}

const leastFree = 100 * 1024 * 1024
const littleFree = 1024 * 1024 * 1024

/** Proven by a small file: modes tell nothing of full disks, read-only mounts and quotas. A directory that is not there yet is made at the start. */
function writable(name: string, directory: string): Check {
  const standing = nearest(directory)
  const there = standing === directory
  const probe = join(standing, `.quayside-doctor-${randomUUID()}`)
  try {
    writeFileSync(probe, 'quayside doctor', { mode: 0o600, flag: 'wx' })
    unlinkSync(probe)
  } catch (error) {
    const code = codeOf(error) ?? 'unknown'
    const remedy =
      code === 'ENOSPC' || code === 'EDQUOT'
        ? 'Make room on that disk.'
        : 'Let it belong to the account that runs the server, or name another place.'
    return bad(name, `${directory} is not writable (${code}).`, remedy)
  }
  const { bavail, bsize } = statfsSync(standing)
  const free = bavail * bsize
  const words = `${Math.floor(free / littleFree)} GiB free`
  if (free < leastFree) return bad(name, `${directory} has only ${Math.floor(free / 1024 / 1024)} MiB free.`, 'Make room on that disk.')
  if (free < littleFree) return warn(name, `${directory} has only ${Math.floor(free / 1024 / 1024)} MiB free.`, 'Make room on that disk.')
  return ok(name, there ? `${directory}, ${words}` : `${directory} is made when the server starts; ${words}`)
}

/** The directory, or the first one above that exists. What is in its place and no directory is refused by the write. */
function nearest(directory: string): string {
  let at = directory
  while (!existsSync(at) && at !== dirname(at)) at = dirname(at)
  return at
}
