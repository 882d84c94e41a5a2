// Sets the stage: the sandbox, our app registered in its Developer Hub, the table of countries, and a server that knows both.
// The demo, the flows' tests and the benchmarks start from here.
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, writeFile } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { renderManifest } from '../../manifest/manifest.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../sandbox.ts'
import type { Installation, Stack } from '../world/model.ts'
import { harbourPublishing, secondShore } from '../world/people.ts'
import { writeCountries } from './countries.ts'
import type { Ports } from './options.ts'
import { createPerson, type Person } from './person.ts'
import { type ServerProcess, startServer } from './server-process.ts'
import { sourceFile } from './syncs.ts'

export interface StageOptions {
  directory: string
  ports: Ports
  stackDirectory?: string | undefined
  keep?: boolean
  watch?: boolean
  databaseUrl?: string | undefined
  /** Of the server. Default info. */
  logLevel?: string
  nodeArguments?: string[]
  sandbox?: Omit<SandboxOptions, 'ports' | 'stackDirectory' | 'snapshotFile' | 'identityClient'>
}

export interface Stage {
  sandbox: Sandbox
  urls: Sandbox['urls']
  server: ServerProcess
  app: RegisteredApp
  stack: Stack
  /** Where our app stands in the stack already: a kept world goes on. */
  installed: Installation | undefined
  person: Person
  filesDirectory: string
  /** Rows in the table of countries. */
  records: number
  close(): Promise<void>
}

interface RegisteredApp {
  appUid: string
  clientId: string
  clientSecret: string
}

/** What must be the same when a world is continued: frames are frozen to their address, and secrets stand on both sides. */
interface Kept {
  ports: Ports
  app: RegisteredApp
  webhookSecret: string
  identitySecret: string
}

/** The ports of the world that --keep continues, or null when there is none. */
export function keptPorts(directory: string): Ports | null {
  return readKept(directory)?.ports ?? null
}

export async function setStage(options: StageOptions): Promise<Stage> {
  const { directory, ports, stackDirectory } = options
  const filesDirectory = join(directory, 'files')
  await mkdir(filesDirectory, { recursive: true, mode: 0o700 })
  const kept = options.keep ? readKept(directory) : null
  const { server: serverPort, ...sandboxPorts } = ports
  const serverUrl = `http://127.0.0.1:${serverPort}`
  const webhookSecret = kept?.webhookSecret ?? secret()
  const identityClient = {
    clientId: 'quayside-console',
    clientSecret: kept?.identitySecret ?? secret(),
    redirectUris: [`${serverUrl}/console/callback/sandbox`]
  }
  const sandbox = await createSandbox({
    ...options.sandbox,
    ports: sandboxPorts,
    identityClient,
    ...(stackDirectory === undefined ? {} : { stackDirectory }),
    ...(options.keep ? { snapshotFile: join(directory, 'world.json') } : {})
  })
  try {
    const { urls } = sandbox
    // Under --watch the server restarts with every change of its sources.
    const person = createPerson({ patienceSeconds: options.watch ? 10 : 0 })
    const app = kept?.app ?? (await registerApp(person, urls.control, serverUrl, webhookSecret))
    if (options.keep) {
      const keeping: Kept = { ports, app, webhookSecret, identitySecret: identityClient.clientSecret }
      await writeFile(join(directory, 'stage.json'), JSON.stringify(keeping), { mode: 0o600 })
    }
    const server = await startServer({
      directory,
      port: serverPort,
      ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
      ...(options.watch ? { watch: true } : {}),
      ...(options.logLevel === undefined ? {} : { logLevel: options.logLevel }),
      ...(options.nodeArguments ? { nodeArguments: options.nodeArguments } : {}),
      region: {
        location: 'SANDBOX',
        application: urls.application,
        contentManagement: urls.contentManagement,
        developerHub: urls.developerHub
      },
      app: { ...app, webhookSecret },
      organizations: [
        { organizationUid: harbourPublishing, name: 'Harbour Publishing' },
        { organizationUid: secondShore, name: 'Second Shore' }
      ],
      identity: {
        issuer: urls.identity,
        clientId: identityClient.clientId,
        clientSecret: identityClient.clientSecret,
        groups: {
          'quayside-admins': { role: 'admin', organizationUids: [harbourPublishing] },
          'quayside-operators': { role: 'operator', organizationUids: [harbourPublishing] },
          'quayside-auditors': { role: 'auditor', organizationUids: [harbourPublishing] },
          'secondshore-admins': { role: 'admin', organizationUids: [secondShore] }
        }
      }
    })
    const stack = stackOf(sandbox, stackDirectory)
    return {
      sandbox,
      urls,
      server,
      app,
      stack,
      installed: Object.values(sandbox.world.installations).find(
        ({ appUid, target }) => appUid === app.appUid && target.uid === stack.apiKey
      ),
      person,
      filesDirectory,
      records: writeCountries(join(filesDirectory, sourceFile)),
      async close() {
        await server.close()
        await sandbox.close()
      }
    }
  } catch (error) {
    await sandbox.close()
    throw error
  }
}

async function registerApp(person: Person, control: string, serverUrl: string, webhookSecret: string): Promise<RegisteredApp> {
  const manifest = renderManifest({ publicUrl: serverUrl, region: 'sandbox', webhookSecret })
  // Visible to the second organization too, so that two tenants can stand side by side.
  const { body } = await person.ask<RegisteredApp>(`${control}/apps`, {
    method: 'POST',
    json: { organizationUid: harbourPublishing, manifest: { ...manifest, visibility: 'public_unlisted' }, oauth: manifest.oauth }
  })
  return { appUid: body.appUid, clientId: body.clientId, clientSecret: body.clientSecret }
}

/** The loaded stack, which bears its directory's name, or the built-in one. */
function stackOf({ world }: Sandbox, stackDirectory: string | undefined): Stack {
  const name = stackDirectory === undefined ? 'Blog EU' : basename(resolve(stackDirectory))
  const stack = Object.values(world.stacks).find(stack => stack.name === name)
  if (!stack) throw new Error(`The sandbox has no stack called "${name}".`)
  return stack
}

function readKept(directory: string): Kept | null {
  const file = join(directory, 'stage.json')
  return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Kept) : null
}

function secret(): string {
  return randomBytes(24).toString('base64url')
}
