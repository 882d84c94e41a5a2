import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createGuard, isPrivateAddress } from '../../server/sync/guard.ts'

let folder: string
let files: string
let server: Server
let port: number
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'quayside-guard-'))
  files = join(folder, 'files')
  await mkdir(join(files, 'sub'), { recursive: true })
  await writeFile(join(folder, 'secret.db'), '')
  await writeFile(join(files, 'own.db'), '')
  await symlink(folder, join(files, 'link'))
  server = createServer((request, response) => {
    if (request.url === '/away') response.writeHead(302, { location: `http://127.0.0.2:${port}/` })
    response.end('hello')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  server.close()
  await rm(folder, { recursive: true, force: true })
})

const guard = (privateHosts: string[] = []) => createGuard({ filesDirectory: files, privateHosts, ownFiles: [join(files, 'own.db')] })

describe('hosts', () => {
  it.each([
    '127.0.0.1',
    '10.1.2.3',
    '169.254.169.254',
    '192.168.0.1',
    '172.31.0.1',
    '100.64.0.1',
    '0.0.0.0',
    '::1',
    '::',
    'fe80::1',
    'fd00::1',
    '::ffff:10.0.0.1',
    '::ffff:a9fe:a9fe',
    '64:ff9b::7f00:1',
    '224.0.0.1',
    '255.255.255.255'
  ])('counts %s as private', address => {
    expect(isPrivateAddress(address)).toBe(true)
  })

  it.each(['8.8.8.8', '172.32.0.1', '2606:4700::1111', '::ffff:8.8.8.8'])('counts %s as public', address => {
    expect(isPrivateAddress(address)).toBe(false)
  })

  it.each(['127.0.0.1', 'localhost', 'LOCALHOST.', '[::1]', '127.0.0.1.'])('refuses %s with a remedy', async host => {
    await expect(guard().resolve(host)).rejects.toMatchObject({ code: 'forbidden', remedy: expect.stringMatching(/operator/) as string })
  })

  it('reaches a private host that the operator allows, by name or address, and no other', async () => {
    await expect(guard(['localhost']).resolve('localhost')).resolves.toMatch(/^127\.|::1/)
    await expect(guard(['127.0.0.1']).resolve('127.0.0.1')).resolves.toBe('127.0.0.1')
    await expect(guard(['db.internal']).resolve('127.0.0.1')).rejects.toMatchObject({ code: 'forbidden' })
  })

  it('says which host cannot be found', async () => {
    await expect(guard().resolve('nowhere.invalid')).rejects.toMatchObject({
      code: 'upstream',
      message: expect.stringContaining('nowhere.invalid') as string
    })
  })

  it('gives a redirect as it is to whoever wants to judge it', async () => {
    const answer = await guard(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/away`, { method: 'POST', body: '{}', redirect: 'manual' })
    expect(answer.status).toBe(302)
    await answer.body?.cancel()
  })

  it('fetches what is allowed and follows no redirect out of it', async () => {
    const allowed = guard(['127.0.0.1'])
    expect(await (await allowed.fetch(`http://127.0.0.1:${port}/`)).text()).toBe('hello')
    await expect(allowed.fetch(`http://127.0.0.1:${port}/away`)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(guard().fetch(`http://127.0.0.1:${port}/`)).rejects.toMatchObject({ code: 'forbidden' })
    await expect(allowed.fetch('file:///etc/passwd')).rejects.toMatchObject({ code: 'forbidden' })
  })
})

describe('files', () => {
  it.each(['out.db', 'sub/out.db', 'new/deep/out.db', './sub/../out.db'])('opens %s under the directory', path => {
    expect(guard().file(path).startsWith(files)).toBe(true)
  })

  it.each(['../secret.db', 'sub/../../secret.db', '/etc/passwd', 'link/secret.db', 'link/files/../secret.db', '.', '..', 'sub/..'])(
    'refuses %s outside of it',
    path => {
      expect(() => guard().file(path)).toThrow(expect.objectContaining({ code: 'forbidden' }))
    }
  )

  it.each(['', '   ', 'a\0b'])('refuses %j as no name', path => {
    expect(() => guard().file(path)).toThrow(expect.objectContaining({ code: 'invalid' }))
  })

  it.each(['own.db', 'sub/../own.db', 'own.db-wal', 'link/files/own.db'])('refuses our own database as %s', path => {
    expect(() => guard().file(path)).toThrow(expect.objectContaining({ code: 'forbidden' }))
  })
})
