// The official management SDK against the sandbox: it must not be able to tell. Its retries are off, because its own SSRF guard
// ends the process when it retries against a loopback host.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as contentstack from '@contentstack/management'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ada, edda } from '../../sandbox/world/people.ts'
import { branchScope, startCma, type CmaHost } from '../support/cma-host.ts'

const quiet = { retryOnError: false, retryOnHttpServerError: false, retryOnNetworkFailure: false }

let cma: CmaHost
let folder: string
let managementToken: string
beforeAll(async () => {
  cma = await startCma()
  folder = await mkdtemp(join(tmpdir(), 'quayside-sdk-'))
  managementToken = cma.token()['authorization'] ?? ''
})
afterAll(async () => {
  await cma.close()
  await rm(folder, { recursive: true })
})

const client = () => contentstack.client({ endpoint: `${cma.url}/v3`, ...quiet })
const stack = () => client().stack({ api_key: cma.stack.apiKey, management_token: managementToken })

describe('the management SDK', () => {
  it('creates, reads, queries, updates, publishes and deletes an entry on a management token', async () => {
    const entries = stack().contentType('product')
    const made = await entries.entry().create({ entry: { title: 'Barometer', sku: 'SDK-1', price: 30 } })
    expect(made).toMatchObject({ title: 'Barometer', _version: 1 })
    const found = await entries
      .entry()
      .query({ query: { sku: 'SDK-1' }, include_count: true })
      .find()
    expect(found.count).toBe(1)
    expect(found.items[0]?.uid).toBe(made.uid)
    made['price'] = 31
    const updated = await made.update()
    expect(updated).toMatchObject({ price: 31, _version: 2 })
    const published = await updated.publish({
      publishDetails: { environments: ['development'], locales: ['en-us'] },
      locale: 'en-us',
      version: 2
    })
    expect(published.notice).toBe('The requested action has been performed.')
    const fetched = await entries.entry(made.uid).fetch({ include_publish_details: true })
    expect(fetched['publish_details']).toHaveLength(1)
    expect(await fetched.delete()).toMatchObject({ notice: 'Entry deleted successfully.' })
  })

  it('gets the errors it knows', async () => {
    const refused = await stack()
      .contentType('product')
      .entry()
      .create({ entry: { title: 'Rope', sku: 'SDK-2' } })
      .catch((error: unknown) => error)
    expect(refused).toMatchObject({ status: 422, errorCode: 119, errors: { title: ['is not unique.'] } })
    const bad = contentstack.client({ endpoint: `${cma.url}/v3`, ...quiet }).stack({ api_key: cma.stack.apiKey, management_token: 'csbad' })
    expect(
      await bad
        .environment()
        .query()
        .find()
        .catch((error: unknown) => error)
    ).toMatchObject({ status: 401, errorCode: 105 })
  })

  it('uploads, reads, publishes and deletes an asset', async () => {
    const file = join(folder, 'chart.svg')
    await writeFile(file, '<svg xmlns="http://www.w3.org/2000/svg"/>')
    const asset = await stack()
      .asset()
      .create({ upload: file, title: 'Chart', tags: ['map', 'sea'] })
    expect(asset).toMatchObject({ title: 'Chart', filename: 'chart.svg', content_type: 'image/svg+xml', tags: ['map', 'sea'], _version: 1 })
    expect(await (await fetch(String(asset['url']))).text()).toBe('<svg xmlns="http://www.w3.org/2000/svg"/>')
    expect(
      (
        await stack()
          .asset()
          .query({ query: { title: 'Chart' } })
          .find()
      ).items
    ).toHaveLength(1)
    const published = await asset.publish({ publishDetails: { environments: ['production'], locales: ['en-us'] }, version: 1 })
    expect(published.notice).toBe('Asset sent for publishing.')
    await asset.delete()
    expect(
      await stack()
        .asset(asset.uid)
        .fetch()
        .catch((error: unknown) => error)
    ).toMatchObject({ status: 422, errorCode: 141 })
  })

  it('creates, extends and deletes a content type', async () => {
    const schema = [{ display_name: 'Title', uid: 'title', data_type: 'text', mandatory: true, unique: true }]
    const type = await stack()
      .contentType()
      .create({
        content_type: { title: 'Port', uid: 'port', schema, options: { is_page: false, singleton: false, title: 'title', sub_title: [] } }
      })
    expect(type).toMatchObject({ uid: 'port', title: 'Port', _version: 1 })
    type['schema'] = [...schema, { display_name: 'Code', uid: 'code', data_type: 'text', unique: true }]
    expect(await type.update()).toMatchObject({ _version: 2 })
    await stack()
      .contentType('port')
      .entry()
      .create({ entry: { title: 'Hamburg', code: 'DEHAM' } })
    const twice = await stack()
      .contentType('port')
      .entry()
      .create({ entry: { title: 'Hamburg 2', code: 'DEHAM' } })
      .catch((error: unknown) => error)
    expect(twice).toMatchObject({ errorCode: 119, errors: { code: ['is not unique.'] } })
    expect(
      await stack()
        .contentType('port')
        .delete()
        .catch((error: unknown) => error)
    ).toMatchObject({ status: 422 })
    const forced = await cma.call('DELETE', '/content_types/port?force=true', cma.as(ada.uid))
    expect(forced.body.notice).toBe('Content Type deleted successfully.')
  })

  it('lets an admin, not an editor, make a management token', async () => {
    const token = {
      name: 'From the SDK',
      description: '',
      scope: [{ module: 'content_type', acl: { read: true, write: true } }, branchScope('main')],
      expires_on: '2099-01-01'
    }
    const as = async (person: typeof ada) => {
      const session = client()
      await session.login({ email: person.email, password: person.password })
      return session.stack({ api_key: cma.stack.apiKey }).managementToken().create({ token })
    }
    const made = await as(ada)
    expect(made['token']).toMatch(/^cs/u)
    expect(await as(edda).catch((error: unknown) => error)).toMatchObject({ errorCode: 162 })
  })
})
