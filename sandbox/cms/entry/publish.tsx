// Publishing and unpublishing the saved version of an entry: where to, then the platform's queue does it.
import { useRef, useState } from 'react'
import { useLoad, useSession } from '../cms-context.ts'
import { Await, Failure, State } from '../pieces/pieces.tsx'
import type { StackScope } from '../stack/shell.tsx'
import type { Draft } from './draft.ts'

interface Props {
  scope: StackScope
  contentTypeUid: string
  draft: Draft
  locale: string
  disabled: boolean
  onDone: () => Promise<void>
}

interface Environment {
  uid: string
  name: string
}

export function Publish({ scope: { stack, branch }, contentTypeUid, draft, locale, disabled, onDone }: Props) {
  const { client, session } = useSession()
  const dialog = useRef<HTMLDialogElement>(null)
  const [chosen, setChosen] = useState<string[]>([])
  const [failure, setFailure] = useState<Error | null>(null)
  const environments = useLoad(`environments ${stack.api_key}`, () =>
    client.cma<{ environments: Environment[] }>('GET', '/environments', stack.api_key, { branch })
  )
  const details = (draft.saved()['publish_details'] ?? []) as { environment: string; locale: string; version: number }[]

  async function act(how: 'publish' | 'unpublish', all: Environment[]): Promise<void> {
    const entry = draft.saved()
    try {
      const body = { entry: { environments: chosen, locales: [locale] }, locale, version: entry._version }
      await client.cma('POST', `/content_types/${contentTypeUid}/entries/${entry.uid}/${how}`, stack.api_key, { branch, body })
      for (const environment of all.filter(({ name }) => chosen.includes(name))) {
        const detail = {
          environment: environment.uid,
          locale,
          version: entry._version,
          time: new Date().toISOString(),
          user: session.user.uid
        }
        draft.published(how === 'publish' ? 'entryPublish' : 'entryUnPublish', detail)
      }
      dialog.current?.close()
      await onDone()
    } catch (error) {
      setFailure(error as Error)
    }
  }

  return (
    <>
      <button type="button" disabled={disabled} onClick={() => dialog.current?.showModal()}>
        Publish…
      </button>
      <dialog ref={dialog} aria-labelledby="publish-title">
        <h2 id="publish-title">
          Publish version {draft.saved()._version} in {locale}
        </h2>
        <Await of={environments}>
          {({ environments: all }) => (
            <>
              <fieldset className="choices">
                <legend>Environments</legend>
                {all.map(({ uid, name }) => {
                  const there = details.find(
                    detail => (detail.environment === uid || detail.environment === name) && detail.locale === locale
                  )
                  return (
                    <label key={uid}>
                      <input
                        type="checkbox"
                        checked={chosen.includes(name)}
                        onChange={event => setChosen(event.target.checked ? [...chosen, name] : chosen.filter(other => other !== name))}
                      />
                      <span>{name}</span>
                      {there ? <State is="good">version {there.version}</State> : <State is="quiet">not published</State>}
                    </label>
                  )
                })}
              </fieldset>
              {failure ? <Failure error={failure} /> : null}
              <p className="actions">
                <button type="button" className="primary" disabled={chosen.length === 0} onClick={() => void act('publish', all)}>
                  Publish
                </button>
                <button type="button" disabled={chosen.length === 0} onClick={() => void act('unpublish', all)}>
                  Unpublish
                </button>
                <button type="button" onClick={() => dialog.current?.close()}>
                  Cancel
                </button>
              </p>
            </>
          )}
        </Await>
      </dialog>
    </>
  )
}
