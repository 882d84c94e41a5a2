// Bulk publish, unpublish and delete, one request a second (contentstack.md §8.4): the answer names a job, the work is done as
// it comes. Jobs are remembered for as long as the sandbox runs.
import { Router } from 'express'
import type { Asset, ContentType, Entry } from '../world/model.ts'
import { assetsOf, contentTypesOf, entriesOf } from '../world/stack.ts'
import { newRowUid } from '../world/uids.ts'
import { deleteAsset } from './assets.ts'
import type { Call, Doors } from './call.ts'
import { deleteEntry } from './entry-write.ts'
import { publishAsset, publishEntry, targetOf } from './publish.ts'
import { invalidData, noSuchObject } from './refusal.ts'

interface BulkJob {
  uid: string
  apiKey: string
  action: string
  summary: { success: number; unsuccess: number; skip: number; total_processed: number }
}

export function bulkRoutes(doors: Doors): Router {
  const router = Router()
  const jobs = new Map<string, BulkJob>()

  const finish = (call: Call, action: string, total: number, success: number) => {
    const job: BulkJob = {
      uid: newRowUid(),
      apiKey: call.stack.apiKey,
      action,
      summary: { success, unsuccess: total - success, skip: 0, total_processed: total }
    }
    jobs.set(job.uid, job)
    return job.uid
  }

  for (const way of ['publish', 'unpublish'] as const) {
    router.post(
      `/bulk/${way}`,
      doors.stack(call => {
        if (asked(call.body['entries']).length > 0) call.permit('entries', way)
        if (asked(call.body['assets']).length > 0) call.permit('assets', way)
        const { entries, assets, total } = found(call)
        const target = targetOf(call, call.body, call.body)
        // §8.4: 10 entries × 10 locales × 10 environments.
        if (total > 10 || target.locales.length > 10 || target.environments.length > 10) throw tooMany()
        for (const { type, entry, version, locale } of entries) {
          const locales = locale === undefined || Array.isArray(call.body['locales']) ? target.locales : [locale]
          publishEntry(call, type, entry, way, { ...target, locales, ...(version !== undefined && { version }) })
        }
        for (const asset of assets) publishAsset(call, asset, way, target)
        const job = finish(call, way, total, entries.length + assets.length)
        return { body: { notice: `Your bulk ${way} request is in progress. Please check publish queue for more details.`, job_id: job } }
      }, 'bulk')
    )
  }

  router.post(
    '/bulk/delete',
    doors.stack(call => {
      if (asked(call.body['entries']).length > 0) call.permit('entries', 'write')
      if (asked(call.body['assets']).length > 0) call.permit('assets', 'write')
      const { entries, assets, total } = found(call)
      if (total > 100) throw tooMany()
      for (const { type, entry, locale } of entries) deleteEntry(call, type, entry, locale ?? null)
      for (const asset of assets) deleteAsset(call, asset)
      finish(call, 'delete', total, entries.length + assets.length)
      return { body: { notice: 'Your bulk delete request is in progress.' } }
    }, 'bulk')
  )

  router.get(
    '/bulk/jobs/:uid',
    doors.stack((call, request) => {
      call.permit('publish_queue', 'read')
      const job = jobs.get(String(request.params['uid']))
      if (!job || job.apiKey !== call.stack.apiKey) throw noSuchObject()
      return {
        body: { uid: job.uid, status: 'complete', action: job.action, summary: { ...job.summary, approvals: 0, state: 'complete' } }
      }
    })
  )
  return router
}

interface Found {
  entries: { type: ContentType; entry: Entry; version?: number; locale?: string }[]
  assets: Asset[]
  total: number
}

/** What does not exist is counted as unsuccessful, not refused. */
function found(call: Call): Found {
  const wantedEntries = asked(call.body['entries'])
  const wantedAssets = asked(call.body['assets'])
  const entries = wantedEntries.flatMap(one => {
    const type = contentTypesOf(call.stack, call.branch)[String(one['content_type'] ?? one['content_type_uid'])]
    const entry = type && entriesOf(call.stack, call.branch, type.uid)[String(one['uid'])]
    if (!type || !entry) return []
    const { version, locale } = one
    return [{ type, entry, ...(typeof version === 'number' && { version }), ...(typeof locale === 'string' && { locale }) }]
  })
  const assets = wantedAssets.flatMap(one => assetsOf(call.stack, call.branch)[String(one['uid'])] ?? [])
  return { entries, assets, total: wantedEntries.length + wantedAssets.length }
}

function asked(given: unknown): Record<string, unknown>[] {
  return Array.isArray(given) ? given.filter(one => typeof one === 'object' && one !== null) : []
}

function tooMany() {
  return invalidData('The bulk request holds too many objects.', { entries: ['is not valid.'] })
}
