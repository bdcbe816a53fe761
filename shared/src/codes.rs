//! Closed lists of codes that stay open to the future: a code this build does not know is kept as
//! it came and shown as OTHER, so an older or newer app never loses a record (ruling S46).

/// Codes, or several of them.
pub trait Codes {
    /// What to say of the first one that this build does not know.
    fn unknown(&self) -> Option<String>;
}

impl<T: Codes> Codes for Option<T> {
    fn unknown(&self) -> Option<String> {
        self.as_ref().and_then(T::unknown)
    }
}

impl<T: Codes> Codes for Vec<T> {
    fn unknown(&self) -> Option<String> {
        self.iter().find_map(T::unknown)
    }
}

/// Reads codes of what is being made, where one that this build does not know is a slip of the pen.
pub fn known<'de, D: serde::Deserializer<'de>, T: serde::Deserialize<'de> + Codes>(d: D) -> Result<T, D::Error> {
    let codes = T::deserialize(d)?;
    codes.unknown().map_or(Ok(codes), |unknown| Err(serde::de::Error::custom(unknown)))
}

/// Declares an enum of codes with their one spelling, in CBOR, JSON, SQL and texts alike.
/// `alias` lines are codes that were retired and are still read.
#[macro_export]
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $code:literal $(| $alias:literal)*,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vdoc])* $variant,)+
            /// A code this build does not know, kept as it came.
            Other(Box<str>),
        }

        impl $name {
            /// Every code of this list, in its order.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];

            /// The code's spelling.
            pub fn code(&self) -> &str {
                match self {
                    $(Self::$variant => $code,)+
                    Self::Other(code) => code,
                }
            }

            /// The code with this spelling, retired ones included.
            pub fn from_code(code: &str) -> Self {
                match code {
                    $($code $(| $alias)* => Self::$variant,)+
                    other => Self::Other(other.into()),
                }
            }
        }

        impl $crate::codes::Codes for $name {
            fn unknown(&self) -> Option<String> {
                let Self::Other(code) = self else { return None };
                let all: Vec<_> = Self::ALL.iter().map(Self::code).collect();
                Some(format!("{code:?} is none of {}", all.join(", ")))
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.code())
            }
        }

        impl std::str::FromStr for $name {
            type Err = std::convert::Infallible;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Ok(Self::from_code(text))
            }
        }

        impl<C> minicbor::Encode<C> for $name {
            fn encode<W: minicbor::encode::Write>(
                &self,
                e: &mut minicbor::Encoder<W>,
                _: &mut C,
            ) -> Result<(), minicbor::encode::Error<W::Error>> {
                e.str(self.code())?.ok()
            }
        }

        impl<'b, C> minicbor::Decode<'b, C> for $name {
            fn decode(d: &mut minicbor::Decoder<'b>, _: &mut C) -> Result<Self, minicbor::decode::Error> {
                d.str().map(Self::from_code)
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.serialize_str(self.code())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                <std::borrow::Cow<'de, str>>::deserialize(d).map(|code| Self::from_code(&code))
            }
        }

        #[cfg(feature = "sql")]
        $crate::ids::sql_as!($name, String, |code| code.code().to_owned(), |raw| Ok(Self::from_code(&raw)));
    )+};
}
