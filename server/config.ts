// Environment in, Config and Secrets out, in three small steps: readEnv (names and strings), toConfig (defaults, contradictions
// refused), toSecrets (files read, kept apart from the config so that a config can be printed). Nothing below app.ts reads the
// environment. Every variable stands in `variables`, with its unit and default.
import { readFileSync, statSync } from 'node:fs'
import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import type { AppCredentials } from './contentstack/oauth.ts'
import { type Region, regions } from './contentstack/regions.ts'
import { AppError } from './errors.ts'
import type { OidcSettings } from './identity/oidc.ts'
import { isKeyRingText, type KeyRing, parseKeyRing } from './vault/cipher.ts'

const variables = {
  QUAYSIDE_ENV: 'production (default) or development. Development allows http and a private sandbox region',
  QUAYSIDE_PUBLIC_URL: 'where browsers and Contentstack reach this server: https://…, no path. No default',
  QUAYSIDE_HOST: 'address to listen on. Default 127.0.0.1',
  QUAYSIDE_PORT: 'TCP port to listen on. Default 4000; 0 = any free one',
  QUAYSIDE_DATABASE_URL: 'sqlite:PATH or postgres://…. Default sqlite:.quayside/quayside.db',
  QUAYSIDE_KEY_FILE: 'file with the key ring, mode 0600, one `id:base64-of-32-bytes` a line, current key first. No default',
  QUAYSIDE_APPS_FILE: 'JSON file: our Developer Hub app per region. No default. Shape: docs/operating.md',
  QUAYSIDE_TENANTS_FILE: 'JSON file: organizations served and their identity providers. No default. Shape: docs/operating.md',
  QUAYSIDE_ALERTS_FILE:
    'JSON file, mode 0600: the mail server and who is told of every installation. Default none: no e-mail. Shape: docs/operating.md',
  QUAYSIDE_ANCHOR_FILE: 'where the heads of the audit trail are noted, outside the database. Default .quayside/audit-anchors.jsonl',
  QUAYSIDE_FILES_DIR: 'the only directory in which a connector may open files. Default .quayside/files',
  QUAYSIDE_PRIVATE_HOSTS: 'comma-separated host names or addresses in private ranges that connections may reach. Default none',
  QUAYSIDE_TRUSTED_PROXIES:
    'comma-separated addresses or networks of the reverse proxies whose X-Forwarded-For is believed. Default loopback; none = none',
  QUAYSIDE_ROLE: 'all (default), http (doors only) or worker (background work only; needs PostgreSQL beside another process)',
  QUAYSIDE_WORKERS: 'jobs run at once by this process. Default 8',
  QUAYSIDE_LOG_LEVEL: 'debug, info (default), warn, error or silent'
} as const

type Env = Partial<Record<keyof typeof variables, string>>

export interface Config {
  production: boolean
  /** Origin without a trailing slash. */
  publicUrl: string
  host: string
  port: number
  databaseUrl: string
  /** JSON lines, appended. */
  anchorFile: string
  filesDirectory: string
  privateHosts: string[]
  /** As Express takes them: addresses, networks, 'loopback'. */
  trustedProxies: string[]
  role: 'all' | 'http' | 'worker'
  workers: number
  logLevel: string
  organizations: { region: string; organizationUid: string; name: string }[]
}

export interface Secrets {
  keyRing: KeyRing
  /** Reads the key file again, as strictly as at the start. Throws AppError invalid; left out: the ring stays what it is. */
  reloadKeyRing?(): KeyRing
  apps: AppCredentials[]
  identityProviders: IdentityProvider[]
  /** Where alerts go; left out: no e-mail, and nobody is told of every installation. */
  alerts?: AlertsFile | undefined
}

/** An identity provider of the console; its groups name the organizations that its people may reach. */
export interface IdentityProvider extends Omit<OidcSettings, 'redirectUri' | 'allowInsecure'> {
  /** Part of the login address, so that two providers can stand side by side. */
  id: string
  /** As the login page shows it. */
  name: string
}

/** Throws AppError invalid that names the variable and the remedy. */
export function loadConfig(environment: Record<string, string | undefined>): { config: Config; secrets: Secrets } {
  const env = readEnv(environment)
  const config = toConfig(env)
  return { config, secrets: toSecrets(env, config) }
}

export interface Examined {
  /** What could be read; a setting that is wrong is missing here. */
  config: Partial<Config> & { production: boolean }
  secrets: Partial<Secrets>
  problems: { setting: string; error: AppError }[]
}

/** As loadConfig for whoever looks for what is wrong: one wrong setting hides no other. */
export function examineConfig(environment: Record<string, string | undefined>): Examined {
  const problems: Examined['problems'] = []
  const tolerant = <T>(setting: string, read: () => T): T => {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      if (!problems.some(known => known.error.message === error.message)) problems.push({ setting, error })
      return undefined as T
    }
  }
  const env: Env = {}
  for (const [name, value] of Object.entries(environment)) tolerant(name, () => Object.assign(env, readEnv({ [name]: value })))
  const read = toConfig(env, tolerant)
  // Whoever says nothing clear is held to the stricter rules.
  const config = { ...read, production: (read.production as boolean | undefined) ?? true }
  return { config, secrets: toSecrets(env, config, tolerant), problems }
}

/** Reads what hangs on one setting; throws where it is wrong. */
type Part = <T>(setting: keyof Env, read: () => T) => T

const strictly: Part = (_setting, read) => read()

function readEnv(environment: Record<string, string | undefined>): Env {
  const env: Env = {}
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith('QUAYSIDE_') || value === undefined || value === '') continue
    if (!(name in variables)) {
      throw new AppError('invalid', `${name} is not a setting of Quayside.`, {
        remedy: `Remove it, or correct its name. Settings: ${Object.keys(variables).join(', ')}.`
      })
    }
    env[name as keyof Env] = value
  }
  return env
}

function toConfig(env: Env, part: Part = strictly): Config {
  const production = part('QUAYSIDE_ENV', () => oneOf(env, 'QUAYSIDE_ENV', ['production', 'development'], 'production') === 'production')
  const publicUrl = part('QUAYSIDE_PUBLIC_URL', () => {
    const url = origin(required(env, 'QUAYSIDE_PUBLIC_URL'))
    if (!production || url.startsWith('https://')) return url
    throw refuse('QUAYSIDE_PUBLIC_URL', `is ${url}; in production it must begin with https://`)
  })
  const databaseUrl = part('QUAYSIDE_DATABASE_URL', () => {
    const url = env.QUAYSIDE_DATABASE_URL ?? 'sqlite:.quayside/quayside.db'
    if (/^(sqlite:.+|postgres(ql)?:\/\/.+)$/.test(url)) return url
    throw refuse('QUAYSIDE_DATABASE_URL', 'must be sqlite:PATH or postgres://…')
  })
  const role = part('QUAYSIDE_ROLE', () => {
    const role = oneOf(env, 'QUAYSIDE_ROLE', ['all', 'http', 'worker'], 'all')
    if (role === 'all' || databaseUrl === undefined || !databaseUrl.startsWith('sqlite:')) return role
    throw refuse('QUAYSIDE_ROLE', `is ${role}, but SQLite serves one process; use PostgreSQL to run doors and workers apart`)
  })
  return {
    production,
    publicUrl,
    host: env.QUAYSIDE_HOST ?? '127.0.0.1',
    port: part('QUAYSIDE_PORT', () => wholeNumber(env, 'QUAYSIDE_PORT', 4000, 0, 65_535)),
    databaseUrl,
    anchorFile: resolve(env.QUAYSIDE_ANCHOR_FILE ?? '.quayside/audit-anchors.jsonl'),
    filesDirectory: resolve(env.QUAYSIDE_FILES_DIR ?? '.quayside/files'),
    privateHosts: listOf(env.QUAYSIDE_PRIVATE_HOSTS ?? ''),
    trustedProxies: part('QUAYSIDE_TRUSTED_PROXIES', () => proxies(env)),
    role,
    workers: part('QUAYSIDE_WORKERS', () => wholeNumber(env, 'QUAYSIDE_WORKERS', 8, 1, 256)),
    logLevel: part('QUAYSIDE_LOG_LEVEL', () => oneOf(env, 'QUAYSIDE_LOG_LEVEL', ['debug', 'info', 'warn', 'error', 'silent'], 'info')),
    organizations: part('QUAYSIDE_TENANTS_FILE', () => jsonFile(env, 'QUAYSIDE_TENANTS_FILE', TenantsFile).organizations)
  }
}

const Url = z.url({ protocol: /^https?$/ }).transform(url => url.replace(/\/+$/, ''))

const AppsFile = z
  .array(
    z.strictObject({
      region: z.string(),
      appUid: z.string().min(1),
      clientId: z.string().min(1),
      clientSecret: z.string().min(1),
      /** Value of the header x-quayside-secret that the manifest's lifecycle webhook carries. */
      webhookSecret: z.string().min(16),
      /** Only for the sandbox: its hosts. The seven regions' hosts are known. */
      hosts: z.strictObject({ location: z.string(), application: Url, contentManagement: Url, developerHub: Url }).optional()
    })
  )
  .min(1)

const OrganizationRef = z.strictObject({ region: z.string(), organizationUid: z.string() })

const TenantsFile = z.strictObject({
  organizations: z.array(OrganizationRef.extend({ name: z.string().min(1) })),
  identityProviders: z.array(
    z.strictObject({
      id: z.string().regex(/^[a-z0-9-]{1,40}$/),
      name: z.string().min(1),
      issuer: Url,
      clientId: z.string().min(1),
      clientSecret: z.string().min(1),
      tokenEndpointAuthMethod: z.enum(['client_secret_post', 'client_secret_basic']).default('client_secret_post'),
      groupRoles: z.record(
        z.string(),
        z.strictObject({
          role: z.enum(['admin', 'operator', 'auditor']),
          organizations: z.union([z.literal('*'), z.array(OrganizationRef)])
        })
      )
    })
  )
})

const loopback = /^(localhost|127\.\d+\.\d+\.\d+|::1)$/i

/** 'team@example.com' or 'Name <team@example.com>'; what a header or an address list would read as more is no name. */
const Sender = z.string().refine(text => {
  const [, address = text] = /^[^\p{Cc}<>"(),:;@\\]+ <([^<>]+)>$/u.exec(text) ?? []
  return z.email().safeParse(address).success
}, 'must be an e-mail address, or a plain name and <address>')

const AlertsFile = z
  .strictObject({
    smtp: z
      .strictObject({
        host: z.string().regex(/^[\w.:-]{1,253}$/, 'must be a host name or address'),
        port: z.number().int().min(1).max(65_535),
        secure: z.boolean().default(false),
        requireTls: z.boolean().optional(),
        user: z.string().min(1).optional(),
        password: z.string().min(1).optional(),
        from: Sender
      })
      .refine(({ user, password }) => (user === undefined) === (password === undefined), 'user and password go together')
      .transform(smtp => ({ ...smtp, requireTls: smtp.requireTls ?? !(smtp.secure || loopback.test(smtp.host)) }))
      .optional(),
    recipients: z
      .array(
        z.discriminatedUnion('kind', [
          z.strictObject({ kind: z.literal('email'), address: z.email() }),
          z.strictObject({
            kind: z.literal('slack'),
            address: z.url({ protocol: /^https?$/ }).refine(url => !/^https?:\/\/[^/?#]*@/i.test(url), 'must not carry a user or password')
          })
        ])
      )
      .max(20)
      .default([])
  })
  .refine(({ smtp, recipients }) => smtp !== undefined || recipients.every(({ kind }) => kind !== 'email'), 'e-mail recipients need "smtp"')
export type AlertsFile = z.infer<typeof AlertsFile>

function toSecrets(env: Env, { production }: Pick<Config, 'production'>, part: Part = strictly): Secrets {
  const reloadKeyRing = () => parseKeyRing(privateFile('QUAYSIDE_KEY_FILE', required(env, 'QUAYSIDE_KEY_FILE'), production))
  return {
    keyRing: part('QUAYSIDE_KEY_FILE', reloadKeyRing),
    reloadKeyRing,
    apps: part('QUAYSIDE_APPS_FILE', () => appsOf(env, production)),
    identityProviders: part('QUAYSIDE_TENANTS_FILE', () => jsonFile(env, 'QUAYSIDE_TENANTS_FILE', TenantsFile).identityProviders),
    alerts: part('QUAYSIDE_ALERTS_FILE', () => alertsOf(env, production))
  }
}

function alertsOf(env: Env, production: boolean): AlertsFile | undefined {
  if (env.QUAYSIDE_ALERTS_FILE === undefined) return undefined
  privateFile('QUAYSIDE_ALERTS_FILE', env.QUAYSIDE_ALERTS_FILE, production)
  const alerts = jsonFile(env, 'QUAYSIDE_ALERTS_FILE', AlertsFile)
  if (!production || alerts.recipients.every(({ address }) => !/^http:/i.test(address))) return alerts
  throw refuse('QUAYSIDE_ALERTS_FILE', 'names a recipient at http://; in production it must begin with https://')
}

function appsOf(env: Env, production: boolean): AppCredentials[] {
  const apps = jsonFile(env, 'QUAYSIDE_APPS_FILE', AppsFile).map(({ region, hosts, ...app }) => ({
    ...app,
    region: regionOf(region, hosts)
  }))
  const own = apps.filter(app => !regions.includes(app.region))
  if (own.length === 0 || (!production && own.length === apps.length)) return apps
  throw refuse(
    'QUAYSIDE_APPS_FILE',
    'names a sandbox region; a deployment serves either the sandbox or real regions, and production only real ones'
  )
}

function regionOf(id: string, hosts: Omit<Region, 'id'> | undefined): Region {
  const known = regions.find(region => region.id === id)
  if (known && !hosts) return known
  if (!known && hosts) return { id, ...hosts }
  throw refuse(
    'QUAYSIDE_APPS_FILE',
    known
      ? `gives hosts for the region ${id}, which are fixed; remove "hosts"`
      : `names the unknown region "${id}"; regions: ${regions.map(region => region.id).join(', ')}`
  )
}

function privateFile(name: keyof Env, path: string, strict: boolean): string {
  const mode = stat(name, path).mode & 0o077
  if (strict && mode !== 0 && process.platform !== 'win32') {
    throw refuse(name, `points to ${path}, which others can read; run chmod 600 ${path}`)
  }
  return readFileSync(path, 'utf8')
}

function stat(name: keyof Env, path: string) {
  assertName(name, path)
  try {
    return statSync(path)
  } catch (cause) {
    const make = name === 'QUAYSIDE_KEY_FILE' ? `; make one with: npx quayside keys new > ${path}` : ''
    throw refuse(name, `points to ${path}, which cannot be read${make}`, cause)
  }
}

/** A path is shown in refusals. Whoever gave the secrets themselves must not find them in a log. */
function assertName(name: keyof Env, path: string): void {
  if (path.includes('{') || isKeyRingText(path)) throw refuse(name, 'holds the content itself; give the name of a file that holds it')
}

function jsonFile<T>(env: Env, name: keyof Env, shape: z.ZodType<T>): T {
  const path = required(env, name)
  assertName(name, path)
  let value: unknown
  try {
    value = JSON.parse(readFileSync(path, 'utf8'))
  } catch (cause) {
    throw refuse(name, `points to ${path}, which is not a readable JSON file`, cause)
  }
  const parsed = shape.safeParse(value)
  if (parsed.success) return parsed.data
  const [issue] = parsed.error.issues
  throw refuse(name, `points to ${path}, where ${issue?.path.join('.') || 'the file'} is wrong: ${issue?.message}`)
}

function required(env: Env, name: keyof Env): string {
  const value = env[name]
  if (value === undefined) throw refuse(name, 'is not set')
  return value
}

function oneOf<const T extends string>(env: Env, name: keyof Env, choices: readonly T[], fallback: T): T {
  const value = env[name] ?? fallback
  const choice = choices.find(choice => choice === value)
  if (choice === undefined) throw refuse(name, `is "${value}"; it must be one of ${choices.join(', ')}`)
  return choice
}

function listOf(text: string): string[] {
  return text
    .split(',')
    .map(item => item.trim())
    .filter(item => item !== '')
}

/** A typing error here would either shut people out together or believe what anybody claims to be. */
function proxies(env: Env): string[] {
  const list = listOf(env.QUAYSIDE_TRUSTED_PROXIES ?? 'loopback')
  if (list.length === 1 && list[0] === 'none') return []
  const wrong = list.find(item => {
    const [address = '', bits, ...rest] = item.split('/')
    const family = isIP(address)
    const prefix = bits === undefined ? 0 : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
    return item !== 'loopback' && (family === 0 || rest.length > 0 || !(prefix <= (family === 4 ? 32 : 128)))
  })
  if (wrong !== undefined) throw refuse('QUAYSIDE_TRUSTED_PROXIES', `names "${wrong}", which is no address, network or "loopback"`)
  return list
}

function wholeNumber(env: Env, name: keyof Env, fallback: number, least: number, most: number): number {
  const text = env[name]
  if (text === undefined) return fallback
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (!(value >= least && value <= most)) throw refuse(name, `is "${text}"; it must be a whole number from ${least} to ${most}`)
  return value
}

function origin(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : null
  if (!url || !/^https?:$/.test(url.protocol) || url.pathname !== '/' || url.search !== '' || url.username !== '') {
    throw refuse(
      'QUAYSIDE_PUBLIC_URL',
      `is "${text.replace(/\/\/.*@/, '//…@')}"; it must be an origin such as https://quayside.example.com, without a path`
    )
  }
  return url.origin
}

function refuse(name: keyof Env, problem: string, cause?: unknown): AppError {
  return new AppError('invalid', `${name} ${problem}.`, { remedy: `${name}: ${variables[name]}.`, cause })
}
