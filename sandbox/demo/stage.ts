// Sets the stage: the sandbox, our app registered in its Developer Hub, the table of countries, and a server that knows both.
// The demo, the flows' tests and the benchmarks start from here.
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { renderManifest } from '../../manifest/manifest.ts'
import { createSandbox, type Sandbox, type SandboxOptions } from '../sandbox.ts'
import { ada, harbourPublishing, otto, secondShore } from '../world/people.ts'
import type { Stack, User } from '../world/model.ts'
import { type CmsLogin, logIn } from './admin.ts'
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
  sandbox?: Omit<SandboxOptions, 'ports' | 'stackDirectory' | 'snapshotFile' | 'identityClient'>
}

export interface Stage {
  sandbox: Sandbox
  urls: Sandbox['urls']
  server: ServerProcess
  app: { appUid: string; clientId: string; clientSecret: string }
  stack: Stack
  ada: CmsLogin
  owner: User
  person: Person
  filesDirectory: string
  /** Rows in the table of countries. */
  records: number
  close(): Promise<void>
}

export async function setStage(options: StageOptions): Promise<Stage> {
  const { directory, ports } = options
  const filesDirectory = join(directory, 'files')
  await mkdir(filesDirectory, { recursive: true, mode: 0o700 })
  const identityClient = { clientId: 'quayside-console', clientSecret: secret(), redirectUris: [`http://127.0.0.1:${ports.server}/console/callback/sandbox`] }
  const { server: serverPort, ...sandboxPorts } = ports
  const sandbox = await createSandbox({
    ...options.sandbox,
    ports: sandboxPorts,
    identityClient,
    ...(options.stackDirectory === undefined ? {} : { stackDirectory: options.stackDirectory }),
    ...(options.keep ? { snapshotFile: join(directory, 'world.json') } : {})
  })
  try {
    const { urls } = sandbox
    const person = createPerson()
    const serverUrl = `http://127.0.0.1:${serverPort}`
    const webhookSecret = secret()
    const manifest = renderManifest({ publicUrl: serverUrl, region: 'sandbox', webhookSecret })
    const { body: app } = await person.ask<Stage['app']>(`${urls.control}/apps`, {
      method: 'POST',
      json: { organizationUid: harbourPublishing, manifest, oauth: manifest.oauth }
    })
    const source = join(filesDirectory, sourceFile)
    const records = existsSync(source) ? 0 : writeCountries(source)
    const server = await startServer({
      directory,
      port: serverPort,
      ...(options.databaseUrl === undefined ? {} : { databaseUrl: options.databaseUrl }),
      ...(options.watch ? { watch: true } : {}),
      region: { location: 'SANDBOX', application: urls.application, contentManagement: urls.contentManagement, developerHub: urls.developerHub },
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
    const stack = Object.values(sandbox.world.stacks).find(stack => stack.organizationUid === harbourPublishing)
    if (!stack) throw new Error('The sandbox has no stack for Harbour Publishing.')
    return {
      sandbox,
      urls,
      server,
      app,
      stack,
      ada: await logIn(person, urls, ada),
      owner: otto,
      person,
      filesDirectory,
      records,
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

function secret(): string {
  return randomBytes(24).toString('base64url')
}
