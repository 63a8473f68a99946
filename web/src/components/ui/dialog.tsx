import { X } from "lucide-react";
import { Dialog } from "radix-ui";
import type { ReactNode } from "react";

interface Options {
  readonly title: string;
  readonly about: string;
  readonly open: boolean;
  readonly onOpen: (open: boolean) => void;
  readonly children: ReactNode;
}

/** A window over the page, closed with Escape; what opened it has the keyboard again afterwards. */
export function Window({ title, about, open, onOpen, children }: Options) {
  return (
    <Dialog.Root open={open} onOpenChange={onOpen}>
      <Dialog.Portal>
        <Dialog.Overlay className="fixed inset-0 bg-black/40" />
        <Dialog.Content className="fixed top-[8vh] left-1/2 flex max-h-[84vh] w-[min(44rem,94vw)] -translate-x-1/2 flex-col gap-3 rounded-md border border-line bg-panel p-4">
          <div className="flex items-start gap-4">
            <div>
              <Dialog.Title className="text-base font-semibold">{title}</Dialog.Title>
              <Dialog.Description className="text-dim">{about}</Dialog.Description>
            </div>
            <Dialog.Close aria-label="Close" className="ml-auto rounded p-1 hover:bg-page">
              <X size={16} aria-hidden />
            </Dialog.Close>
          </div>
          {children}
        </Dialog.Content>
      </Dialog.Portal>
    </Dialog.Root>
  );
}
