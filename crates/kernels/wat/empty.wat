;; Does nothing: what it costs to load a module and to enter it.
(module
  (memory (export "memory") 1024 2048)
  (func (export "_start")))
