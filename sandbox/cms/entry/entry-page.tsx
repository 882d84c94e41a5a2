// One entry in one locale: its fields, saving and publishing, and beside them the sidebars of the apps.
// States: as saved -> changed -> saving -> as saved; a refusal leaves it changed, with the CMA's words at the top.
import { useMemo, useState, useSyncExternalStore } from 'react'
import { useLoad, useSession } from '../cms-context.ts'
import { LocationFrame } from '../host/frame.tsx'
import type { EntryPort } from '../host/place.ts'
import { Await, Failure, State, Time } from '../pieces/pieces.tsx'
import { navigate } from '../route.ts'
import type { StackScope } from '../stack/shell.tsx'
import { type ContentType, createDraft, type Draft, type EntryData } from './draft.ts'
import { EntryField } from './fields.tsx'
import { Publish } from './publish.tsx'
import { writeShape } from './shape.ts'

interface Props {
  scope: StackScope
  contentTypeUid: string
  locale: string
  /** Null for a new entry. */
  uid: string | null
}

export function EntryPage({ scope, contentTypeUid, locale, uid }: Props) {
  const { client } = useSession()
  const { stack, branch } = scope
  const path = `/content_types/${contentTypeUid}`
  const loaded = useLoad(`${stack.api_key} ${branch} ${path} ${uid} ${locale}`, async () => {
    const [{ content_type }, { entry }] = await Promise.all([
      client.cma<{ content_type: ContentType }>('GET', path, stack.api_key, { branch, params: { include_global_field_schema: true } }),
      uid === null
        ? { entry: {} }
        : client.cma<{ entry: EntryData }>('GET', `${path}/entries/${uid}`, stack.api_key, {
            branch,
            params: { locale, include_publish_details: true }
          })
    ])
    return { contentType: content_type, draft: createDraft(entry) }
  })
  return (
    <Await of={loaded}>
      {({ contentType, draft }) => <Editor scope={scope} contentType={contentType} draft={draft} locale={locale} />}
    </Await>
  )
}

function Editor({ scope, contentType, draft, locale }: { scope: StackScope; contentType: ContentType; draft: Draft; locale: string }) {
  const { client, session } = useSession()
  const { stack, branch, apps, locales } = scope
  const entry = useSyncExternalStore(draft.subscribe, draft.current)
  const saved = useSyncExternalStore(draft.subscribe, draft.saved)
  const [saving, setSaving] = useState(false)
  const [failure, setFailure] = useState<Error | null>(null)
  const port = useMemo(() => entryPort(draft, contentType, locale), [draft, contentType, locale])
  const base = `/stack/${stack.api_key}/content-type/${contentType.uid}`
  const inBranch = branch === 'main' ? '' : `?branch=${branch}`
  const path = `/content_types/${contentType.uid}/entries`
  const borrowed = saved.uid !== undefined && saved.locale !== locale

  /** The reply of a write holds file fields as uids; apps and fields want the read shape. */
  async function refresh(because: 'save' | 'load'): Promise<void> {
    const params = { locale, include_publish_details: true }
    const { entry: next } = await client.cma<{ entry: EntryData }>('GET', `${path}/${saved.uid}`, stack.api_key, { branch, params })
    draft.replace(next, because)
  }

  async function save(): Promise<void> {
    setSaving(true)
    setFailure(null)
    try {
      const body = { entry: writeShape(draft.current(), contentType.schema) }
      const call = { branch, params: { locale }, body }
      if (saved.uid === undefined) {
        const made = await client.cma<{ entry: EntryData }>('POST', path, stack.api_key, call)
        navigate(`${base}/${locale}/entry/${made.entry.uid}/edit${inBranch}`, 'replace')
        return
      }
      await client.cma('PUT', `${path}/${saved.uid}`, stack.api_key, call)
      await refresh('save')
    } catch (error) {
      setFailure(error as Error)
    } finally {
      setSaving(false)
    }
  }

  const sidebars = apps.flatMap(app =>
    app.locations.filter(({ type }) => type === 'cs.cm.stack.sidebar').map(location => ({ app, location }))
  )
  const [shown, setShown] = useState(0)
  const sidebar = sidebars[shown] ?? sidebars[0]
  return (
    <div className="editor">
      <form
        className="form"
        aria-label="Entry"
        onSubmit={event => {
          event.preventDefault()
          void save()
        }}
      >
        <div className="heading">
          <h1>{saved.uid === undefined ? `New ${contentType.title}` : (saved.title ?? saved.uid)}</h1>
          <span className="grow" />
          <label className="inline">
            <span className="meta">Locale</span>
            <select
              value={locale}
              disabled={saved.uid === undefined}
              onChange={event => navigate(`${base}/${event.target.value}/entry/${saved.uid}/edit${inBranch}`)}
            >
              {locales.map(({ code }) => (
                <option key={code}>{code}</option>
              ))}
            </select>
          </label>
          {saved.uid === undefined ? null : (
            <Publish
              scope={scope}
              contentTypeUid={contentType.uid}
              draft={draft}
              locale={locale}
              disabled={draft.changed() || borrowed}
              onDone={() => refresh('load')}
            />
          )}
          <button type="submit" className="primary" disabled={saving || (!draft.changed() && saved.uid !== undefined && !borrowed)}>
            {saving ? 'Saving' : borrowed ? `Localize to ${locale}` : 'Save'}
          </button>
        </div>
        <p className="meta entry-line">
          <span>{contentType.title}</span>
          {saved.uid ? (
            <>
              <span>version {saved._version}</span>
              <span>
                changed <Time at={saved['updated_at'] as string} />
              </span>
              <code>{saved.uid}</code>
            </>
          ) : null}
          {draft.changed() ? <State is="wait">not saved yet</State> : null}
        </p>
        {borrowed ? (
          <p className="notice">
            There is no {locale} version: these are the values of {saved.locale}. Saving makes one.
          </p>
        ) : null}
        {failure ? <Failure error={failure} /> : null}
        {contentType.schema.map(field => (
          <EntryField
            key={field.uid}
            field={field}
            path={field.uid}
            value={entry[field.uid]}
            draft={draft}
            scope={scope}
            port={port}
            master={locale === stack.master_locale}
          />
        ))}
      </form>
      {sidebar && saved.uid !== undefined ? (
        <aside className="apps" aria-label="Apps">
          {sidebars.length > 1 ? (
            <label className="inline">
              <span className="meta">App</span>
              <select value={shown} onChange={event => setShown(Number(event.target.value))}>
                {sidebars.map(({ app, location }, index) => (
                  <option key={location.extensionUid} value={index}>
                    {app.name}: {location.name}
                  </option>
                ))}
              </select>
            </label>
          ) : (
            <h2>{sidebar.location.name}</h2>
          )}
          <LocationFrame key={sidebar.location.extensionUid} place={{ ...sidebar, client, session, stack, branch, entry: port }} />
        </aside>
      ) : null}
    </div>
  )
}

/** What the apps around this entry see of it. */
function entryPort(draft: Draft, contentType: ContentType, locale: string): EntryPort {
  return {
    contentType,
    locale,
    saved: draft.saved,
    draft: () => (draft.changed() ? draft.current() : null),
    set: draft.set,
    listen: draft.listen
  }
}
