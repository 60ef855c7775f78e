//! Publications against a contract that takes parts as the real one does, and calls that fail
//! before or after they have reached it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use outlayer_protocol::Bytes;
use serde_json::Value;

use super::*;
use crate::testing::{Answer, CONTRACT, FakeNode, view_bytes};

const PUBLISHER: &str = "alice.near";

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is executed, and its outcome arrives.
    Executed,
    /// It does not reach the chain.
    Lost,
    /// It is executed, and its outcome does not arrive.
    Unanswered,
}

/// The publications of a contract, and what its caller does.
#[derive(Default)]
struct State {
    /// The announced size and the bytes of each publication, by hash and publisher.
    publications: BTreeMap<(Hash32, String), (u32, Vec<u8>)>,
    /// The publisher of the code that is there in full.
    complete: BTreeMap<Hash32, String>,
    retired: bool,
    newest: Option<NamedCodeView>,
    /// How many parts were taken.
    taken: u32,
    refused: u32,
}

impl State {
    fn publish(&mut self, by: &str, args: &[u8]) -> Result<Vec<u8>, String> {
        let (hash, total, offset, part): (Hash32, u32, u32, Vec<u8>) =
            borsh::from_slice(args).unwrap();
        let (announced, bytes) =
            self.publications.entry((hash, by.to_owned())).or_insert_with(|| (total, Vec::new()));
        let refused = self.complete.contains_key(&hash)
            || *announced != total
            || usize::try_from(offset).unwrap() != bytes.len();
        if refused {
            self.refused += 1;
            return Err("refused".to_owned());
        }
        bytes.extend(part);
        self.taken += 1;
        if bytes.len() == usize::try_from(total).unwrap() {
            assert_eq!(Hash32::of(bytes), hash);
            self.complete.insert(hash, by.to_owned());
        }
        Ok(Vec::new())
    }

    fn view(&self, method: &str, args: &Value) -> Value {
        if method == methods::GET_NAMED_CODE {
            return json!(self.newest);
        }
        assert_eq!(method, methods::GET_CODE_INFO);
        let hash: Hash32 = serde_json::from_value(args["hash"].clone()).unwrap();
        let asking = args["publisher_id"].as_str().unwrap().to_owned();
        let publisher = self.complete.get(&hash).unwrap_or(&asking);
        json!(self.publications.get(&(hash, publisher.clone())).map(|(total, bytes)| json!({
            "hash": hash, "publisher_id": publisher, "total_bytes": total,
            "published_bytes": bytes.len(), "retired": self.retired,
        })))
    }
}

/// Calls the contract as [`PUBLISHER`]. Calls beyond the list of fates are executed.
struct Caller {
    state: Arc<Mutex<State>>,
    fates: Vec<Fate>,
    only_shows: bool,
    made: Vec<CodeCall>,
}

impl ContractCaller for Caller {
    type Error = String;

    async fn call(&mut self, call: &CodeCall) -> Result<Option<Vec<u8>>, String> {
        let fate = self.fates.get(self.made.len()).copied().unwrap_or(Fate::Executed);
        self.made.push(call.clone());
        if self.only_shows {
            return Ok(None);
        }
        if fate == Fate::Lost {
            return Err("lost".to_owned());
        }
        let returned = match call.method {
            methods::PUBLISH_CODE => self.state.lock().unwrap().publish(PUBLISHER, &call.args)?,
            other => {
                assert_eq!(other, methods::NAME_CODE);
                b"7".to_vec()
            }
        };
        if fate == Fate::Unanswered {
            return Err("no answer".to_owned());
        }
        Ok(Some(returned))
    }
}

struct Scene {
    node: FakeNode,
    state: Arc<Mutex<State>>,
}

impl Scene {
    async fn start() -> Self {
        let state: Arc<Mutex<State>> = Arc::default();
        let shared = Arc::clone(&state);
        let node = FakeNode::start(move |method, params| {
            assert_eq!(method, "query");
            let args: Bytes = serde_json::from_value(params["args_base64"].clone()).unwrap();
            let args = serde_json::from_slice(&args.0).unwrap();
            let method = params["method_name"].as_str().unwrap();
            let answer: Answer =
                view_bytes(shared.lock().unwrap().view(method, &args).to_string().as_bytes());
            answer
        })
        .await;
        Self { node, state }
    }

    fn caller(&self, fates: &[Fate]) -> Caller {
        let (state, fates) = (Arc::clone(&self.state), fates.to_vec());
        Caller { state, fates, only_shows: false, made: Vec::new() }
    }

    async fn publish(
        &self,
        code: &[u8],
        caller: &mut Caller,
    ) -> Result<Publication, PublishError<String>> {
        publish_code(&self.node.contract(), &PUBLISHER.parse().unwrap(), code, caller).await
    }
}

/// Code of so many parts.
fn code(parts: usize) -> Vec<u8> {
    let length = CODE_PART_BYTES * parts - 7;
    (0..length).map(|index| u8::try_from(index / 3 % 251).unwrap()).collect()
}

#[tokio::test]
async fn code_is_published_in_parts_once() {
    let scene = Scene::start().await;
    assert_eq!(scene.node.contract().id(), CONTRACT);
    let code = code(3);
    let mut caller = scene.caller(&[]);
    let published = scene.publish(&code, &mut caller).await.unwrap();
    assert_eq!(published, Publication { hash: Hash32::of(&code), was_published: false });
    let purposes: Vec<_> = caller.made.iter().map(|call| call.purpose.as_str()).collect();
    assert_eq!(
        purposes,
        [
            "publish bytes 0 to 1000000 of 2999993",
            "publish bytes 1000000 to 2000000 of 2999993",
            "publish bytes 2000000 to 2999993 of 2999993"
        ]
    );
    // 10 NEAR for a part, and a tenth for what is beside it.
    assert_eq!(caller.made[0].deposit, NearToken::from_millinear(10_100));

    let mut caller = scene.caller(&[]);
    assert!(scene.publish(&code, &mut caller).await.unwrap().was_published);
    assert!(caller.made.is_empty());
}

#[tokio::test]
async fn a_publication_that_ends_after_any_call_goes_on_from_there() {
    let parts = 3;
    let code = code(parts);
    for fate in [Fate::Lost, Fate::Unanswered] {
        for failing in 0..parts {
            let scene = Scene::start().await;
            let mut fates = vec![Fate::Executed; failing];
            fates.push(fate);
            let mut caller = scene.caller(&fates);
            let ended = scene.publish(&code, &mut caller).await;
            if fate == Fate::Lost {
                let published = u32::try_from(failing * CODE_PART_BYTES).unwrap();
                let error = ended.unwrap_err();
                let text = error.to_string();
                assert!(text.starts_with(&format!("{published} of 2999993 bytes are")), "{text}");
                assert!(text.ends_with("goes on with the rest: lost"), "{text}");
                assert_eq!(error.into_callers().unwrap().0, "lost");
            } else {
                assert!(!ended.unwrap().was_published);
            }
            let again = scene.publish(&code, &mut scene.caller(&[])).await.unwrap();
            assert_eq!(again.was_published, fate == Fate::Unanswered);
            let state = scene.state.lock().unwrap();
            assert!(state.complete.contains_key(&again.hash));
            assert_eq!((state.taken, state.refused), (3, 0), "{fate:?} {failing}");
        }
    }
}

#[tokio::test]
async fn a_twin_that_publishes_the_same_parts_is_no_error() {
    let scene = Scene::start().await;
    let code = code(3);
    let hash = Hash32::of(&code);
    // The twin sends each part just before this caller does, so that all of its calls are refused.
    struct Late(Caller);
    impl ContractCaller for Late {
        type Error = String;
        async fn call(&mut self, call: &CodeCall) -> Result<Option<Vec<u8>>, String> {
            self.0.state.lock().unwrap().publish(PUBLISHER, &call.args)?;
            self.0.call(call).await
        }
    }
    let mut late = Late(scene.caller(&[]));
    let contract = scene.node.contract();
    publish_code(&contract, &PUBLISHER.parse().unwrap(), &code, &mut late).await.unwrap();
    let state = scene.state.lock().unwrap();
    assert_eq!((state.taken, state.refused), (3, 3));
    assert!(state.complete.contains_key(&hash));
}

#[tokio::test]
async fn code_that_another_account_completes_first_is_published() {
    let scene = Scene::start().await;
    let code = code(2);
    let hash = Hash32::of(&code);
    scene.publish(&code, &mut scene.caller(&[Fate::Executed, Fate::Lost])).await.unwrap_err();
    let other = "bob.near".to_owned();
    {
        let mut state = scene.state.lock().unwrap();
        let size = u32::try_from(code.len()).unwrap();
        state.publications.insert((hash, other.clone()), (size, code.clone()));
        state.complete.insert(hash, other);
    }
    assert!(scene.publish(&code, &mut scene.caller(&[])).await.unwrap().was_published);
}

#[tokio::test]
async fn what_cannot_be_published_says_why_before_anything_is_sent() {
    let scene = Scene::start().await;
    let mut caller = scene.caller(&[]);
    let error = scene.publish(b"", &mut caller).await.unwrap_err().to_string();
    assert!(error.contains("0 bytes, expected 1 to"), "{error}");

    let code = code(1);
    let key = (Hash32::of(&code), PUBLISHER.to_owned());
    scene.state.lock().unwrap().publications.insert(key.clone(), (9, vec![1]));
    let error = scene.publish(&code, &mut caller).await.unwrap_err().to_string();
    assert!(error.contains("with 9 bytes") && error.contains("delete_code"), "{error}");
    // A node that lies about how much there is.
    let lie = (u32::try_from(code.len()).unwrap(), vec![0; code.len() + 1]);
    scene.state.lock().unwrap().publications.insert(key.clone(), lie);
    let error = scene.publish(&code, &mut caller).await.unwrap_err().to_string();
    assert!(error.contains("with 999994 bytes, and the code has 999993"), "{error}");

    scene.state.lock().unwrap().publications.remove(&key);
    scene.publish(&code, &mut scene.caller(&[])).await.unwrap();
    scene.state.lock().unwrap().retired = true;
    let error = scene.publish(&code, &mut caller).await.unwrap_err().to_string();
    assert!(error.contains("alice.near has withdrawn it"), "{error}");
    assert!(caller.made.is_empty());
}

#[tokio::test]
async fn code_gets_a_version_of_a_name_unless_it_is_the_newest() {
    let scene = Scene::start().await;
    let (contract, owner) = (scene.node.contract(), PUBLISHER.parse().unwrap());
    let code = CodeRef { hash: Hash32::of(b"code"), url: None };
    let mut caller = scene.caller(&[]);
    let named = name_code(&contract, &owner, "median", &code, &mut caller).await.unwrap().unwrap();
    assert_eq!((named.name.as_str(), named.version), ("alice.near/median@7", 7));
    let args: Value = serde_json::from_slice(&caller.made[0].args).unwrap();
    assert_eq!(args, json!({ "name": "median", "code": { "hash": code.hash } }));

    let newest = NamedCodeView {
        name: "alice.near/median@7".to_owned(),
        hash: code.hash,
        url: None,
        retired: false,
    };
    scene.state.lock().unwrap().newest = Some(newest.clone());
    let again = name_code(&contract, &owner, "median", &code, &mut caller).await.unwrap();
    assert_eq!((again, caller.made.len()), (Some(named), 1));
    // Another place of the same code is another version.
    let at_url = CodeRef { url: Some("https://example.com/code".to_owned()), ..code.clone() };
    name_code(&contract, &owner, "median", &at_url, &mut caller).await.unwrap().unwrap();
    assert_eq!(caller.made.len(), 2);

    let unnumbered = NamedCodeView { name: "alice.near/median".to_owned(), ..newest };
    scene.state.lock().unwrap().newest = Some(unnumbered);
    let error = name_code(&contract, &owner, "median", &code, &mut caller).await.unwrap_err();
    assert!(error.to_string().contains("expected the number of a version"), "{error}");
    let error = name_code(&contract, &owner, "Median", &code, &mut caller).await.unwrap_err();
    assert!(error.to_string().contains("Median"), "{error}");

    scene.state.lock().unwrap().newest = None;
    caller.only_shows = true;
    let shown = name_code(&contract, &owner, "median", &code, &mut caller).await.unwrap();
    assert_eq!((shown, caller.made.len()), (None, 3));
    let mut caller = scene.caller(&[Fate::Lost]);
    let error = name_code(&contract, &owner, "median", &code, &mut caller).await.unwrap_err();
    assert_eq!(error.to_string(), "giving the code the name alice.near/median: lost");
}
