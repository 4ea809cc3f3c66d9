// Turns a member pointer into the type-erased Access of a schema key. For the schema*.cpp files alone.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "config/schema.hpp"

namespace prong::config {

// The text table of an enum that a key can have.
constexpr const auto& text_table(LogLevel /*type*/) {
  return kLogLevelText;
}
constexpr const auto& text_table(LogColor /*type*/) {
  return kLogColorText;
}
constexpr const auto& text_table(Concurrency /*type*/) {
  return kConcurrencyText;
}
constexpr const auto& text_table(MemoryMeasure /*type*/) {
  return kMemoryMeasureText;
}
constexpr const auto& text_table(UnderscoreHeaders /*type*/) {
  return kUnderscoreHeadersText;
}
constexpr const auto& text_table(Forwarded /*type*/) {
  return kForwardedText;
}
constexpr const auto& text_table(Symlinks /*type*/) {
  return kSymlinksText;
}
constexpr const auto& text_table(ExecStyle /*type*/) {
  return kExecStyleText;
}
constexpr const auto& text_table(ModuleProtocol /*type*/) {
  return kModuleProtocolText;
}

template <class Enum, std::size_t N>
constexpr std::array<std::string_view, N> names_of(const EnumText<Enum, N>& table) {
  std::array<std::string_view, N> names;
  for (std::size_t i = 0; i < N; ++i) names[i] = table.entries[i].second;
  return names;
}
template <class Enum>
inline constexpr auto kNamesOf = names_of(text_table(Enum{}));

template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;

template <class T>
constexpr Kind kind_of() {
  if constexpr (kIsOptional<T>)
    return kind_of<typename T::value_type>();
  else if constexpr (std::is_same_v<T, bool>)
    return Kind::kFlag;
  else if constexpr (std::is_enum_v<T>)
    return Kind::kChoice;
  else if constexpr (std::is_integral_v<T>)
    return Kind::kCount;
  else if constexpr (std::is_same_v<T, Duration>)
    return Kind::kDuration;
  else if constexpr (std::is_same_v<T, ByteSize>)
    return Kind::kSize;
  else if constexpr (std::is_same_v<T, std::string>)
    return Kind::kText;
  else if constexpr (std::is_same_v<T, NamedTexts>)
    return Kind::kTextMap;
  else if constexpr (std::is_same_v<T, ModuleOptions>)
    return Kind::kOptions;
  else {
    static_assert(std::is_same_v<T, std::vector<std::string>>, "no kind of key for this type");
    return Kind::kTexts;
  }
}

template <class T>
Value to_value(const T& member) {
  if constexpr (kIsOptional<T>)
    return member ? to_value(*member) : Value{};
  else if constexpr (std::is_enum_v<T>)
    return Value{std::string{text_table(member).text(member)}};
  else if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>)
    return Value{static_cast<std::uint64_t>(member)};
  else if constexpr (std::is_same_v<T, Duration>)
    return Value{static_cast<std::uint64_t>(member.count())};
  else if constexpr (std::is_same_v<T, ByteSize>)
    return Value{member.bytes};
  else
    return Value{member};
}

// The value was made for this key: it has the right alternative and is in range.
template <class T>
T from_value(const Value& value) {
  if constexpr (kIsOptional<T>)
    return std::holds_alternative<std::monostate>(value) ? T{} : T{from_value<typename T::value_type>(value)};
  else if constexpr (std::is_same_v<T, bool>)
    return std::get<bool>(value);
  else if constexpr (std::is_enum_v<T>)
    return text_table(T{}).value(std::get<std::string>(value)).value_or(T{});
  else if constexpr (std::is_integral_v<T>)
    return static_cast<T>(std::get<std::uint64_t>(value));
  else if constexpr (std::is_same_v<T, Duration>)
    return Duration{static_cast<Duration::rep>(std::get<std::uint64_t>(value))};
  else if constexpr (std::is_same_v<T, ByteSize>)
    return ByteSize{std::get<std::uint64_t>(value)};
  else
    return std::get<T>(value);
}

template <class Pointer>
struct PointerParts;
template <class OwnerType, class MemberType>
struct PointerParts<MemberType OwnerType::*> {
  using Owner = OwnerType;
  using Type = MemberType;
};

template <auto kMember>
struct MemberAccess {
  using Owner = PointerParts<decltype(kMember)>::Owner;
  using Type = PointerParts<decltype(kMember)>::Type;

  static const Type& of(const void* owner) { return static_cast<const Owner*>(owner)->*kMember; }
  static Type& of(void* owner) { return static_cast<Owner*>(owner)->*kMember; }

  static Value get(const void* owner) { return to_value(of(owner)); }
  static void set(void* owner, const Value& value) { of(owner) = from_value<Type>(value); }
  static void place(void* owner, const Position& position) { of(owner) = position; }
  static std::string_view label(const void* owner) { return of(owner); }
  static void set_label(void* owner, std::string_view label) { of(owner) = label; }

  static std::size_t one(const void* /*owner*/) { return 1; }
  static const void* part(const void* owner, std::size_t /*index*/) { return &of(owner); }
  static void* same_part(void* owner) { return &of(owner); }

  static std::size_t size(const void* owner) { return of(owner).size(); }
  static const void* entry(const void* owner, std::size_t index) { return &of(owner)[index]; }
  static void* append(void* owner) { return &of(owner).emplace_back(); }
};

// A key that holds a value; the kind follows from the member's type.
template <auto kMember>
constexpr Access member() {
  using M = MemberAccess<kMember>;
  Access access{.kind = kind_of<typename M::Type>(), .get = M::get, .set = M::set};
  if constexpr (std::is_enum_v<typename M::Type>) access.choices = kNamesOf<typename M::Type>;
  return access;
}

// The same where the type does not tell the kind: kOctal, kPath.
template <auto kMember>
constexpr Access member(Kind kind) {
  Access access = member<kMember>();
  access.kind = kind;
  return access;
}

// A table that is always there, with its defaults.
template <auto kMember>
constexpr Access table() {
  using M = MemberAccess<kMember>;
  return {.kind = Kind::kTable, .parts = M::one, .part = M::part, .add_part = M::same_part};
}

// A table that is there only when it was written: a std::optional member.
template <auto kMember>
constexpr Access optional_table() {
  using M = MemberAccess<kMember>;
  return {
      .kind = Kind::kTable,
      .parts = [](const void* owner) -> std::size_t { return M::of(owner) ? 1 : 0; },
      .part = [](const void* owner, std::size_t /*index*/) -> const void* { return &*M::of(owner); },
      .add_part = [](void* owner) -> void* { return &M::of(owner).emplace(); },
  };
}

template <auto kMember>
constexpr Access list(Kind kind) {
  using M = MemberAccess<kMember>;
  return {.kind = kind, .parts = M::size, .part = M::entry, .add_part = M::append};
}

// One alternative of a variant member: an app table.
template <auto kMember, class Alternative>
constexpr Access alternative() {
  using M = MemberAccess<kMember>;
  return {
      .kind = Kind::kTable,
      .parts = [](const void* owner) -> std::size_t {
        return std::holds_alternative<Alternative>(M::of(owner)) ? 1 : 0;
      },
      .part = [](const void* owner, std::size_t /*index*/) -> const void* {
        return std::get_if<Alternative>(&M::of(owner));
      },
      .add_part = [](void* owner) -> void* { return &M::of(owner).template emplace<Alternative>(); },
  };
}

template <class Owner>
const void* defaults_of() {
  static const Owner object;
  return &object;
}

}  // namespace prong::config
