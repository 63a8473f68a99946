import { useQuery } from "@tanstack/react-query";
import { useNavigate } from "@tanstack/react-router";
import { Command as Menu } from "cmdk";
import { Dialog } from "radix-ui";
import { experimentsQuery } from "@/lib/queries";
import { type Command, useAllCommands } from "./registry";

const ITEM = "flex cursor-pointer items-center gap-3 rounded px-2 py-1.5 data-[selected=true]:bg-page";

/** Finds anything to do or to open by a few letters. */
export default function Palette({ onClose }: { readonly onClose: () => void }) {
  const commands = useAllCommands();
  const navigate = useNavigate();
  const { data } = useQuery(experimentsQuery());
  const groups = new Map<string, Command[]>();
  for (const one of commands) groups.set(one.group, [...(groups.get(one.group) ?? []), one]);
  const then = (act: () => void) => () => {
    onClose();
    act();
  };
  return (
    <Dialog.Root open onOpenChange={(open) => !open && onClose()}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 bg-black/40" />
        <Dialog.Content
          aria-describedby={undefined}
          className="fixed top-[12vh] left-1/2 w-[min(36rem,94vw)] -translate-x-1/2 rounded-md border border-line bg-panel p-2"
        >
          <Dialog.Title className="sr-only">Commands</Dialog.Title>
          <Menu label="Commands" loop>
            <Menu.Input
              placeholder="What do you want to do?"
              className="w-full border-b border-line bg-panel px-2 py-2 text-text outline-none placeholder:text-dim"
            />
            <Menu.List className="max-h-[60vh] overflow-auto p-1">
              <Menu.Empty className="p-4 text-center text-dim">nothing has that name</Menu.Empty>
              {[...groups].map(([group, found]) => (
                <Menu.Group key={group} heading={group} className="text-dim">
                  {found.map((one) => (
                    <Menu.Item key={one.title} value={`${group} ${one.title}`} onSelect={then(one.run)} className={ITEM}>
                      <span className="text-text">{one.title}</span>
                      {one.keys !== undefined && <kbd className="ml-auto font-mono text-xs">{one.keys}</kbd>}
                    </Menu.Item>
                  ))}
                </Menu.Group>
              ))}
              <Menu.Group heading="Experiments" className="text-dim">
                {data?.map(({ id, name, project }) => (
                  <Menu.Item
                    key={id}
                    value={`experiment ${name} ${id}`}
                    onSelect={then(() => void navigate({ to: "/experiments/$experiment", params: { experiment: id } }))}
                    className={ITEM}
                  >
                    <span className="text-text">{name}</span>
                    <span className="ml-auto">{project}</span>
                  </Menu.Item>
                ))}
              </Menu.Group>
            </Menu.List>
          </Menu>
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
